/** How fast a batch may go just now: its window, its bytes under way, and pauses while the network has no place. */
import { LIMITS } from '#shared/base/limits.ts'
import { createWindow } from '#worker/jobs/authority/judge.ts'
import type { Fault } from '#worker/protocols/batch.ts'

export interface Pace {
  /** Whether one more may start, of so many bytes; the first may always. */
  admits(heldBytes: number): boolean
  started(heldBytes: number): void
  ended(heldBytes: number): void
  /** Whether anything may start at all. */
  isOpen(): boolean
  answered(tookMs: number): void
  /** An item was lost: fewer at once from now on. */
  lost(): void
  /** @param isUnsatisfied whether none of the nodes that are there will do, however free they are */
  pause(untilMs: number, why: Fault, isUnsatisfied: boolean): void
  pauses(): number
  /** Since when, without an answer in between, none of the connected nodes has been one that it needs. */
  unsatisfiedSinceMs(): number | undefined
  pausedUntilMs(): number
  waiting(): Fault | null
}

export function createPace(concurrency: number, nowMs: () => number): Pace {
  const window = createWindow(concurrency)
  let underWay = 0
  let held = 0
  let untilMs = 0
  let pauses = 0
  let waiting: Fault | null = null
  let unsatisfiedMs: number | undefined
  return {
    admits: (heldBytes) => underWay === 0 || held + heldBytes <= LIMITS.jobsInFlightBytes,
    started(heldBytes) {
      underWay += 1
      held += heldBytes
    },
    ended(heldBytes) {
      underWay -= 1
      held -= heldBytes
    },
    // After a pause one item goes first: a network that still has no place is asked once, not by all.
    isOpen: () => nowMs() >= untilMs && underWay < (pauses > 0 ? 1 : window.size()),
    answered(tookMs) {
      pauses = 0
      waiting = null
      unsatisfiedMs = undefined
      window.answered(tookMs)
    },
    lost: () => window.failed(),
    pause(nextMs, why, isUnsatisfied) {
      // Items that were refused together are one pause, not many.
      if (nowMs() >= untilMs) pauses += 1
      untilMs = Math.max(untilMs, nextMs)
      waiting = why
      unsatisfiedMs = isUnsatisfied ? (unsatisfiedMs ?? nowMs()) : undefined
    },
    pauses: () => pauses,
    unsatisfiedSinceMs: () => unsatisfiedMs,
    pausedUntilMs: () => untilMs,
    waiting: () => waiting,
  }
}
