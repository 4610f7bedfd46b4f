/** Lets jobs wait for a free place: woken whenever a node comes or a job ends, and bounded in number and time. */
import { AppError } from '#shared/errors.ts'

export class Capacity {
  readonly #waiting = new Set<() => void>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  /** Something may have become free. */
  notify(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /**
   * Resolves at the next {@link notify}.
   * @throws {AppError} no_capacity when too many wait already; the signal's reason when it fires first
   */
  async wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#most) {
      throw new AppError('no_capacity', 'Every allowed node is busy and the queue is full.', {
        meta: { retryAfterSeconds: 2 },
      })
    }
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener('abort', abort)
        resolve()
      }
      const abort = () => {
        this.#waiting.delete(wake)
        reject(signal.reason as Error)
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}
