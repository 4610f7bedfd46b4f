/**
 * Cancellation of one piece of work, as a plain object. An AbortSignal is an object of the runtime, too dear to be made
 * for each job; it is used only where the runtime or a caller asks for one.
 */

import { callEach } from './call-each.ts'

/** What the cancelled work sees of it. */
export interface Cancellation {
  readonly isCancelled: boolean
  /** Why; undefined before. */
  readonly reason: unknown
  /** Calls `listener` once: at the cancellation, or at once if that has passed. @returns removes it */
  onCancel(listener: () => void): () => void
}

/** Who may cancel it holds this. */
export class Canceller implements Cancellation {
  #isCancelled = false
  #reason: unknown
  #listeners: Set<() => void> | undefined

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  get reason(): unknown {
    return this.#reason
  }

  /** Only the first call has an effect. */
  cancel(reason: unknown): void {
    if (this.#isCancelled) return
    this.#isCancelled = true
    this.#reason = reason
    const listeners = this.#listeners
    this.#listeners = undefined
    callEach(listeners ?? [])
  }

  onCancel(listener: () => void): () => void {
    if (this.#isCancelled) {
      listener()
      return () => {}
    }
    const own = () => listener()
    const listeners = (this.#listeners ??= new Set())
    listeners.add(own)
    return () => void listeners.delete(own)
  }
}

/** Follows a signal that the runtime or a caller has made. */
export function cancellationOf(signal: AbortSignal): Cancellation {
  return {
    get isCancelled() {
      return signal.aborted
    },
    get reason(): unknown {
      return signal.reason
    },
    onCancel(listener) {
      if (signal.aborted) {
        listener()
        return () => {}
      }
      signal.addEventListener('abort', listener, { once: true })
      return () => signal.removeEventListener('abort', listener)
    },
  }
}

/** Settles as `promise` does, or rejects with the reason as soon as it is cancelled. Leaves no listener behind. */
export async function untilCancelled<T>(
  promise: Promise<T>,
  cancellation: Cancellation,
): Promise<T> {
  // The promise may still fail after its caller has left.
  promise.catch(() => {})
  const cancelled = Promise.withResolvers<never>()
  const remove = cancellation.onCancel(() => cancelled.reject(cancellation.reason))
  try {
    return await Promise.race([cancelled.promise, promise])
  } finally {
    remove()
  }
}
