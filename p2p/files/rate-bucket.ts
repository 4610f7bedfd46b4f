/** A byte rate shared by all transfers. */
import type { Clock } from '#p2p/stream/clock.ts'

export type RateBucket = ReturnType<typeof createRateBucket>

/** Allows one second's worth at once; later callers wait in turn. */
export function createRateBucket(bytesPerSecond: number, clock: Clock) {
  /** When everything taken so far will have been paid for. */
  let paidAtMs = clock.nowMs()
  return {
    async take(sizeBytes: number) {
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
