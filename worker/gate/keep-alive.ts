/** Work that must go on when the caller has left, or when its answer is already on the way. */
import type { AppContext } from './context.ts'

export function keepAlive(c: AppContext, work: Promise<unknown>): void {
  const quiet = work.catch((cause: unknown) => {
    c.var.isolate.log.debug('work.failed', { requestId: c.var.requestId, cause: String(cause) })
  })
  c.executionCtx.waitUntil(quiet)
}
