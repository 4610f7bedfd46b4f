/** Limits the pace of a batch: its window, its bytes under way, and pauses while the network has no slot. */
import { MIB } from '#shared/base/limits.ts'
import { createWindow } from '#worker/jobs/authority/judge.ts'
import type { Fault } from '#worker/protocols/batch.ts'

/** Inputs and answers of one batch that are in flight at once. */
const JOBS_IN_FLIGHT_BYTES = 32 * MIB

export type Pace = ReturnType<typeof createPace>

export function createPace(concurrency: number, nowMs: () => number) {
  const window = createWindow(concurrency)
  let underWay = 0
  let held = 0
  let untilMs = 0
  let pauses = 0
  let waiting: Fault | null = null
  let unsatisfiedMs: number | undefined
  return {
    /** Tells whether one more item of this size may start. The first always may. */
    admits: (heldBytes: number): boolean =>
      underWay === 0 || held + heldBytes <= JOBS_IN_FLIGHT_BYTES,
    started(heldBytes: number): void {
      underWay += 1
      held += heldBytes
    },
    ended(heldBytes: number): void {
      underWay -= 1
      held -= heldBytes
    },
    // After a pause one item goes first, so that a network without a slot is asked once only.
    /** Tells whether anything may start at all. */
    isOpen: (): boolean => nowMs() >= untilMs && underWay < (pauses > 0 ? 1 : window.size()),
    answered(tookMs: number): void {
      pauses = 0
      waiting = null
      unsatisfiedMs = undefined
      window.answered(tookMs)
    },
    /** After a lost item fewer run at once. */
    lost: (): void => window.failed(),
    /** @param isUnsatisfied whether none of the connected nodes fits, free or busy */
    pause(nextMs: number, why: Fault, isUnsatisfied: boolean): void {
      // Items refused together count as one pause.
      if (nowMs() >= untilMs) pauses += 1
      untilMs = Math.max(untilMs, nextMs)
      waiting = why
      unsatisfiedMs = isUnsatisfied ? (unsatisfiedMs ?? nowMs()) : undefined
    },
    pauses: (): number => pauses,
    /** Time since which none of the connected nodes fits; undefined after an answer. */
    unsatisfiedSinceMs: (): number | undefined => unsatisfiedMs,
    pausedUntilMs: (): number => untilMs,
    waiting: (): Fault | null => waiting,
  }
}
