/** Waits with an end: a promise against a time limit and a caller who may leave. */
import { AppError } from './errors.ts'

export interface Deadline {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** What is waited for, as the error says it: `The kernel's compilation`. */
  readonly what: string
}

export function cancelled(): AppError {
  return new AppError('cancelled', 'The caller cancelled the job.')
}

/**
 * The promise, or a rejection when the signal is aborted, whichever is first; leaves no listener behind.
 * @param reason what it is then rejected with. @default the signal's own
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: () => unknown = () => signal.reason,
): Promise<T> {
  // Whoever leaves does not wait for it any more, and it may fail later.
  promise.catch(() => {})
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(reason())
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([aborted.promise, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Settles as `work` does, unless the time or the caller's patience ends first; `work` itself goes on.
 * @throws {AppError} node_timeout, cancelled
 */
export function beforeDeadline<T>(work: Promise<T>, deadline: Deadline): Promise<T> {
  const { timeoutMs, signal, what } = deadline
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(
      () => end(() => reject(new AppError('node_timeout', `${what} took over ${timeoutMs} ms.`))),
      timeoutMs,
    )
    const onAbort = () => end(() => reject(cancelled()))
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    work.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error as Error)),
    )
  })
}
