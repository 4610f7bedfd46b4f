/** Cancels one job: when its time is up, or when its caller leaves. */
import { Canceller, type Cancellation } from '#p2p/stream/cancellation.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { AppError } from '#shared/base/errors.ts'

export interface JobCancellation {
  readonly cancellation: Cancellation
  /** Forgets the time and the caller: the job is over. */
  clear(): void
}

/** Cancels with node_timeout when the time is up, and with cancelled when the caller leaves. */
export function createJobCancellation(
  timeoutMs: number,
  caller: AbortSignal,
  clock: Clock,
): JobCancellation {
  const canceller = new Canceller()
  const leave = () => canceller.cancel(new AppError('cancelled', 'The caller left.'))
  const stopTimer = clock.after(timeoutMs, () =>
    canceller.cancel(new AppError('node_timeout', `No answer within ${timeoutMs} ms.`)),
  )
  caller.addEventListener('abort', leave)
  if (caller.aborted) leave()
  return {
    cancellation: canceller,
    clear() {
      stopTimer()
      caller.removeEventListener('abort', leave)
    },
  }
}
