/** Keeps work going after the caller has left or the answer is sent. */
import type { AppContext } from './context.ts'

export function keepAlive(c: AppContext, work: Promise<unknown>): void {
  const quiet = work.catch((cause: unknown) => {
    c.var.log.debug('work.failed', { requestId: c.var.requestId, cause: String(cause) })
  })
  c.executionCtx.waitUntil(quiet)
}
