/** Limits rates by key in fixed one-minute windows, in one isolate, with bounded memory. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'

const WINDOW_MS = 60_000

export interface RateLimitOptions {
  readonly perMinute: number
  /** Keys remembered; when full the oldest is evicted. */
  readonly keys: number
  readonly nowMs: () => number
  /** The counted thing, for the error text. @default requests from one place */
  readonly what?: string
}

export type RateLimit = ReturnType<typeof createRateLimit>

export function createRateLimit(options: RateLimitOptions) {
  const { what = 'requests from one place' } = options
  const windows = new BoundedMap<string, { startMs: number; count: number }>(options.keys)
  return {
    /** @throws {AppError} rate_limited with the seconds until the next window */
    take(key: string): void {
      const nowMs = options.nowMs()
      let window = windows.get(key)
      if (window === undefined || nowMs - window.startMs >= WINDOW_MS) {
        window = { startMs: nowMs, count: 0 }
        windows.set(key, window)
      }
      window.count += 1
      if (window.count <= options.perMinute) return
      const retryAfterSeconds = Math.ceil((window.startMs + WINDOW_MS - nowMs) / 1000)
      throw new AppError('rate_limited', `At most ${options.perMinute} ${what} a minute.`, {
        meta: { retryAfterSeconds },
      })
    },
    giveBack(key: string): void {
      const window = windows.get(key)
      if (window !== undefined && window.count > 0) window.count -= 1
    },
  }
}
