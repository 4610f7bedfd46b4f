/** Queue of jobs that wait for a free slot. It is bounded, and tenants take turns. */
import { AppError } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import { createFairShare, type FairShare } from './fair-share.ts'

interface Waiter {
  readonly tenant: TenantId
  readonly wake: () => void
}

export class Capacity {
  readonly #waiting = new Set<Waiter>()
  readonly #share: FairShare

  constructor(most: number) {
    this.#share = createFairShare(most)
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Wakes the waiting jobs, since a slot may be free: the first of each tenant, then the second of each. */
  notify(): void {
    if (this.#waiting.size === 0) return
    const waiters = inTurns([...this.#waiting])
    this.#waiting.clear()
    for (const { wake } of waiters) wake()
  }

  /**
   * Resolves at the next {@link notify}.
   * @throws {AppError} no_capacity when the tenant has its share of the queue; the signal's reason if that aborts first
   */
  async wait(tenant: TenantId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#share.take(tenant, 1)) {
      throw new AppError(
        'no_capacity',
        "Every allowed node is busy, and this tenant's share of the queue is full.",
        { meta: { retryAfterSeconds: 2 } },
      )
    }
    try {
      await this.#notified(tenant, signal)
    } finally {
      this.#share.give(tenant, 1)
    }
  }

  #notified(tenant: TenantId, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        tenant,
        wake() {
          signal.removeEventListener('abort', abort)
          resolve()
        },
      }
      const abort = () => {
        this.#waiting.delete(waiter)
        reject(signal.reason as Error)
      }
      this.#waiting.add(waiter)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}

/** Keeps the order within a tenant, and starts with the tenant that has waited longest. */
function inTurns(waiters: readonly Waiter[]): Waiter[] {
  const rows = [...Map.groupBy(waiters, ({ tenant }) => tenant).values()]
  if (rows.length === 1) return [...waiters]
  const longest = Math.max(...rows.map((row) => row.length))
  return Array.from({ length: longest }, (_, turn) =>
    rows.flatMap((row) => row.slice(turn, turn + 1)),
  ).flat()
}
