/** Cuts work into short runs, so that stopping a job waits only for the current piece. */
import { LIMITS } from '#shared/base/limits.ts'

/** Half of the limit, since the next piece may cost twice what the last one predicts. */
const AIM_MS = LIMITS.pieceMs / 2

export interface PiecesOptions {
  /** Items of the first run, before the device's speed is known. */
  readonly first: number
  readonly most: number
  /** Factor by which the next piece may exceed the last one. @default 2 */
  readonly growth?: number
  /** Runs after which the size is fixed, and with it the last bits of the results. @default all */
  readonly learns?: number
  /** Monotonic clock in ms. */
  readonly now: () => number
}

export type Pieces = ReturnType<typeof createPieces>

export function createPieces({ first, most, growth = 2, learns = Infinity, now }: PiecesOptions) {
  let size = Math.min(first, most)
  let learned = 0
  const took = (items: number, tookMs: number) => {
    if (learned >= learns) return
    learned += 1
    const fits = Math.floor((AIM_MS * items) / Math.max(tookMs, 0.01))
    // A small run has overhead and predicts a large one badly, so sizes grow step by step.
    size = Math.max(1, Math.min(fits, size * growth, most))
  }
  return {
    size: () => size,
    took,
    /** Runs so many items and learns from the time they take. */
    async time<T>(items: number, run: () => Promise<T>): Promise<T> {
      const startedMs = now()
      const result = await run()
      took(items, now() - startedMs)
      return result
    },
  }
}
