/** Bytes a second, for all who take from it together. */
import type { Clock } from '#p2p/stream/clock.ts'

export interface RateBucket {
  /** Resolves when these bytes may go. */
  take(sizeBytes: number): Promise<void>
}

/** A second's worth may go at once; whoever comes later waits in turn. */
export function createRateBucket(bytesPerSecond: number, clock: Clock): RateBucket {
  /** When everything that was taken will have been paid for. */
  let paidAtMs = clock.nowMs()
  return {
    async take(sizeBytes) {
      const nowMs = clock.nowMs()
      paidAtMs = Math.max(paidAtMs, nowMs - 1_000) + (sizeBytes / bytesPerSecond) * 1_000
      const waitMs = paidAtMs - nowMs
      if (waitMs <= 0) return
      const { promise, resolve } = Promise.withResolvers<void>()
      clock.after(waitMs, resolve)
      await promise
    },
  }
}
