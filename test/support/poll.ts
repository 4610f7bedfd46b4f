/** Waiting for something that must come true, with a bound that only a hang reaches. */

/** Far above what the slowest machine takes, and below a test's own bound, so that the message is the one here. */
export const HANG_MS = 120_000

/** Looks every 10 ms. @throws after {@link HANG_MS}; the message says what was waited for */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + HANG_MS
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within ${HANG_MS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
