/** Queue of jobs that wait for a free slot. It is bounded, and tenants take turns. */
import type { Cancellation } from '#p2p/stream/cancellation.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import { createFairShare, type FairShare } from './fair-share.ts'

/** A job, known by its cancellation. */
type Job = Cancellation

interface Waiter {
  readonly turn: Turn
  readonly wake: () => void
}

/** A start tag of fair queueing: a tenant's jobs have consecutive numbers. Equals go by arrival. */
interface Turn {
  readonly number: number
  readonly arrival: number
}

export class Capacity {
  readonly #waiting = new Map<Job, Waiter>()
  readonly #share: FairShare
  /** A job keeps its turn when it was woken in vain. */
  readonly #turns = new WeakMap<Job, Turn>()
  readonly #lastTurn: Map<TenantId, number>
  /** By woken job: the jobs that were asked about the same slot, itself included. */
  readonly #asked = new WeakMap<Job, Set<Job>>()
  #present = 0
  #arrivals = 0

  constructor(most: number) {
    this.#share = createFairShare(most)
    this.#lastTurn = new BoundedMap(most)
  }

  get size(): number {
    return this.#waiting.size
  }

  /** One slot is free. Wakes the job whose turn it is. If that one waits again, the next, until one does not. */
  notify(): void {
    this.#askNext(new Set())
  }

  /** Nodes came, left or changed: wakes all waiting jobs, in turn. */
  notifyAll(): void {
    const waiters = [...this.#waiting].toSorted(([, a], [, b]) => compare(a.turn, b.turn))
    this.#waiting.clear()
    for (const [job, { wake }] of waiters) {
      this.#asked.delete(job)
      wake()
    }
  }

  /** A job has ended without an answer. A slot that it was woken for is still free, so the next job is woken. */
  passOn(job: Job): void {
    const asked = this.#asked.get(job)
    this.#asked.delete(job)
    if (asked !== undefined) this.#askNext(asked)
  }

  /**
   * Resolves when the job should choose again.
   * @throws {AppError} no_capacity when the tenant has its share of the queue; the reason if the job is cancelled first
   */
  async wait(tenant: TenantId, job: Job): Promise<void> {
    if (job.isCancelled) throw job.reason as Error
    if (!this.#share.take(tenant, 1)) {
      throw new AppError(
        'no_capacity',
        "Every allowed node is busy, and this tenant's share of the queue is full.",
        { meta: { retryAfterSeconds: 2 } },
      )
    }
    try {
      const woken = this.#woken(this.#turnOf(tenant, job), job)
      this.passOn(job)
      await woken
    } finally {
      this.#share.give(tenant, 1)
    }
  }

  #woken(turn: Turn, job: Job): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const remove = job.onCancel(() => {
        this.#waiting.delete(job)
        reject(job.reason as Error)
      })
      const wake = () => {
        remove()
        resolve()
      }
      this.#waiting.set(job, { turn, wake })
    })
  }

  #turnOf(tenant: TenantId, job: Job): Turn {
    const known = this.#turns.get(job)
    if (known !== undefined) return known
    const number = Math.max(this.#present, (this.#lastTurn.get(tenant) ?? -1) + 1)
    const turn = { number, arrival: (this.#arrivals += 1) }
    this.#lastTurn.set(tenant, number)
    this.#turns.set(job, turn)
    return turn
  }

  #askNext(asked: Set<Job>): void {
    let next: { readonly job: Job; readonly waiter: Waiter } | undefined
    for (const [job, waiter] of this.#waiting) {
      if (asked.has(job)) continue
      if (next === undefined || compare(waiter.turn, next.waiter.turn) < 0) next = { job, waiter }
    }
    if (next === undefined) return
    const { job, waiter } = next
    asked.add(job)
    this.#asked.set(job, asked)
    this.#waiting.delete(job)
    this.#present = Math.max(this.#present, waiter.turn.number)
    waiter.wake()
  }
}

function compare(a: Turn, b: Turn): number {
  return a.number - b.number || a.arrival - b.arrival
}
