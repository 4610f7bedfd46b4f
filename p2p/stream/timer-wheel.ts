/**
 * One timer of the runtime for all that has to happen later. Most deadlines are cancelled before they come, so a timer
 * for each would be made and thrown away with every job.
 */
import { invariant } from '#shared/base/errors.ts'
import { callEach } from './call-each.ts'
import type { Clock } from './clock.ts'

/** Nothing happens early, and nothing later than this after its time. */
export const TICK_MS = 50
/** The same for delays of less than {@link HAND_MS}. */
export const SHORT_TICK_MS = 5
/** Longest sleep of the one timer, so that it outlasts the last deadline by no more. */
export const HAND_MS = 1_000
invariant(TICK_MS < HAND_MS && SHORT_TICK_MS < TICK_MS, 'A tick is shorter than what it divides.')

/** @param clock its `after` is called for the one timer only */
export function createTimerWheel(clock: Clock): Clock {
  /** What is due, by time. */
  const slots = new Map<number, Set<() => void>>()
  let armedMs = Infinity
  let disarm = () => {}

  const arm = (atMs: number, nowMs: number) => {
    disarm()
    armedMs = atMs
    disarm = clock.after(Math.max(0, atMs - nowMs), turn)
  }
  const turn = () => {
    armedMs = Infinity
    const nowMs = clock.nowMs()
    const due = [...slots.keys()].filter((atMs) => atMs <= nowMs).toSorted((a, b) => a - b)
    const fires = due.map((atMs) => slots.get(atMs))
    for (const atMs of due) slots.delete(atMs)
    // With nothing to come the hand stops.
    if (slots.size > 0) arm(Math.min(...slots.keys(), nowMs + HAND_MS), nowMs)
    callEach(firesOf(fires))
  }
  return {
    nowMs: () => clock.nowMs(),
    after(delayMs, fire) {
      const nowMs = clock.nowMs()
      const tickMs = delayMs < HAND_MS ? SHORT_TICK_MS : TICK_MS
      const atMs = Math.ceil((nowMs + delayMs) / tickMs) * tickMs
      const slot = slots.get(atMs) ?? new Set()
      slots.set(atMs, slot)
      const own = () => fire()
      slot.add(own)
      const handMs = Math.min(atMs, nowMs + HAND_MS)
      if (handMs < armedMs) arm(handMs, nowMs)
      return () => {
        slot.delete(own)
        // The hand stays armed: the next deadline probably comes before it.
        if (slot.size === 0 && slots.get(atMs) === slot) slots.delete(atMs)
      }
    },
  }
}

/** What is due, in order of time. What an earlier one cancels is left out. */
function* firesOf(slots: readonly (Set<() => void> | undefined)[]): Generator<() => void> {
  for (const slot of slots) {
    for (const fire of slot ?? []) {
      slot?.delete(fire)
      yield fire
    }
  }
}
