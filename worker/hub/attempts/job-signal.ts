/** The abort signal of one job. */
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { AppError } from '#shared/base/errors.ts'

export interface JobSignal {
  readonly signal: AbortSignal
  clear(): void
}

/** Aborts with node_timeout when the time is up, and with cancelled when the caller leaves. */
export function createJobSignal(
  timeoutMs: number,
  caller: AbortSignal,
  clock: Clock = systemClock,
): JobSignal {
  const controller = new AbortController()
  const leave = () => controller.abort(new AppError('cancelled', 'The caller left.'))
  const stopTimer = clock.after(timeoutMs, () =>
    controller.abort(new AppError('node_timeout', `No answer within ${timeoutMs} ms.`)),
  )
  caller.addEventListener('abort', leave, { once: true })
  if (caller.aborted) leave()
  return {
    signal: controller.signal,
    clear() {
      stopTimer()
      caller.removeEventListener('abort', leave)
    },
  }
}
