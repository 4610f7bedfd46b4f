/** Counts jobs per minute over the last 30 minutes. */

const HISTORY_MINUTES = 30
const MINUTE_MS = 60_000

export function createHistory() {
  const counts = new Map<number, number>()
  return {
    add(jobs: number, atMs: number) {
      const minute = Math.floor(atMs / MINUTE_MS)
      counts.set(minute, (counts.get(minute) ?? 0) + jobs)
      for (const old of counts.keys()) if (old <= minute - HISTORY_MINUTES) counts.delete(old)
    },
    /** Gives the jobs of each minute, oldest first; the last entry is the current minute. */
    minutes(nowMs: number): number[] {
      const last = Math.floor(nowMs / MINUTE_MS)
      return Array.from(
        { length: HISTORY_MINUTES },
        (_, index) => counts.get(last - HISTORY_MINUTES + 1 + index) ?? 0,
      )
    },
  }
}
