/** Cuts work into runs that each keep the device for a short time: who stops a job waits for the end of its piece only. */
import { LIMITS } from '#shared/base/limits.ts'

/** Half of what a piece may take: the next one may cost twice what the last one says. */
const AIM_MS = LIMITS.pieceMs / 2

export interface PiecesOptions {
  /** Items of the first run, before anything is known of this device. */
  readonly first: number
  readonly most: number
  /** How many times its size a piece may grow by what one took. @default 2 */
  readonly growth?: number
  /** Runs that are learned from; the size then stays, and with it the last bits of what is computed. @default all */
  readonly learns?: number
  /** Monotonic clock in ms. */
  readonly now: () => number
}

export interface Pieces {
  /** Items that the next run may take. */
  size(): number
  /** Learns from how long so many items took. */
  took(items: number, tookMs: number): void
  /** Learns from how long a run of so many items takes. */
  time<T>(items: number, run: () => Promise<T>): Promise<T>
}

export function createPieces({
  first,
  most,
  growth = 2,
  learns = Infinity,
  now,
}: PiecesOptions): Pieces {
  let size = Math.min(first, most)
  let learned = 0
  const took = (items: number, tookMs: number) => {
    if (learned >= learns) return
    learned += 1
    const fits = Math.floor((AIM_MS * items) / Math.max(tookMs, 0.01))
    // A small run pays for more than its items, so it says too little of a large one: grow step by step.
    size = Math.max(1, Math.min(fits, size * growth, most))
  }
  return {
    size: () => size,
    took,
    async time(items, run) {
      const startedMs = now()
      const result = await run()
      took(items, now() - startedMs)
      return result
    },
  }
}
