/** A clock that a test moves, and that counts the timers which were set on it. */
import type { Clock } from '#p2p/stream/clock.ts'

export interface CountedClock extends Clock {
  /** Timers that were ever set. */
  readonly timersSet: number
  /** Timers that are set and neither fired nor cancelled. */
  readonly timersOpen: number
  /** Advances the time, and fires what is due in its order. */
  advance(ms: number): void
}

export function createCountedClock(startMs = 0): CountedClock {
  const open = new Set<{ readonly atMs: number; readonly fire: () => void }>()
  let nowMs = startMs
  let timersSet = 0
  const next = (untilMs: number) =>
    [...open].filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0]
  return {
    get timersSet() {
      return timersSet
    },
    get timersOpen() {
      return open.size
    },
    nowMs: () => nowMs,
    after(delayMs, fire) {
      timersSet += 1
      const timer = { atMs: nowMs + delayMs, fire }
      open.add(timer)
      return () => void open.delete(timer)
    },
    advance(ms) {
      const untilMs = nowMs + ms
      for (let due = next(untilMs); due !== undefined; due = next(untilMs)) {
        open.delete(due)
        nowMs = Math.max(nowMs, due.atMs)
        due.fire()
      }
      nowMs = untilMs
    },
  }
}
