/** Waiting for something that must come true, with a bound. */

export interface UntilOptions {
  /** @default 10_000 */
  readonly timeoutMs?: number
}

/** Looks every 10 ms. @throws when the bound has passed; the message says what was waited for */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  { timeoutMs = 10_000 }: UntilOptions = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
