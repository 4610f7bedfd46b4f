/** How fast a batch may go at present: its window, its bytes under way, and pauses while the network has no slot. */
import { LIMITS } from '#shared/base/limits.ts'
import { createWindow } from '#worker/jobs/authority/judge.ts'
import type { Fault } from '#worker/protocols/batch.ts'

export interface Pace {
  /** Whether one more item of this size may start. The first always may. */
  admits(heldBytes: number): boolean
  started(heldBytes: number): void
  ended(heldBytes: number): void
  /** Whether anything may start at all. */
  isOpen(): boolean
  answered(tookMs: number): void
  /** After a lost item fewer run at once. */
  lost(): void
  /** @param isUnsatisfied whether none of the connected nodes fits, free or busy */
  pause(untilMs: number, why: Fault, isUnsatisfied: boolean): void
  pauses(): number
  /** Since when none of the connected nodes fits; undefined after an answer. */
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
    // After a pause one item goes first, so that a network without a slot is asked once only.
    isOpen: () => nowMs() >= untilMs && underWay < (pauses > 0 ? 1 : window.size()),
    answered(tookMs) {
      pauses = 0
      waiting = null
      unsatisfiedMs = undefined
      window.answered(tookMs)
    },
    lost: () => window.failed(),
    pause(nextMs, why, isUnsatisfied) {
      // Items refused together count as one pause.
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
