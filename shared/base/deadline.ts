/** Waiting for a promise with a time limit, or until a signal is aborted. */
import { AppError } from './errors.ts'

export interface Deadline {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Subject of the error's sentence: `The kernel's compilation`. */
  readonly what: string
}

export function cancelled(): AppError {
  return new AppError('cancelled', 'The caller cancelled the job.')
}

/**
 * Settles as `promise` does, or rejects as soon as the signal is aborted. Leaves no listener behind.
 * @param reason gives the rejection's error. @default the signal's own reason
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: () => unknown = () => signal.reason,
): Promise<T> {
  // The promise may still fail after the caller has left.
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
 * Settles as `work` does, or rejects when the time ends or the signal is aborted. `work` itself goes on.
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
