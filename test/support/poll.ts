/** Waits for a condition, with a timeout that only a hang reaches. */

/** Far above what the slowest machine needs, and below a test's own timeout, so that this message is shown. */
export const HANG_MS = 120_000

/** Checks every 10 ms. @throws after {@link HANG_MS}, naming the condition */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + HANG_MS
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within ${HANG_MS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
