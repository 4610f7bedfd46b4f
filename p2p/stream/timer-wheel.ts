/**
 * One timer of the runtime for all that has to happen later. Most deadlines are cancelled before they come, so a timer
 * for each would be made and thrown away with every job.
 */
import { invariant } from '#shared/base/errors.ts'
import { callEach } from './call-each.ts'
import type { Clock } from './clock.ts'

/** Nothing happens early, and nothing later than this after its time. */
export const TICK_MS = 50
/** Longest sleep of the one timer, so that it outlasts the last deadline by no more. */
export const HAND_MS = 1_000
invariant(HAND_MS % TICK_MS === 0, 'The hand sleeps whole ticks.')

/** @param clock its `after` is called for the one timer, at most once a tick */
export function createTimerWheel(clock: Clock): Clock {
  const slots = new Map<number, Set<() => void>>()
  let armedTick = Infinity
  let disarm = () => {}

  const arm = (tick: number) => {
    disarm()
    armedTick = tick
    disarm = clock.after(Math.max(0, tick * TICK_MS - clock.nowMs()), turn)
  }
  /** Arms for the next due slot. With nothing to come the hand stops. */
  const rearm = (nowTick: number) => {
    if (slots.size > 0) arm(Math.min(...slots.keys(), nowTick + HAND_MS / TICK_MS))
  }
  const turn = () => {
    armedTick = Infinity
    const nowTick = Math.floor(clock.nowMs() / TICK_MS)
    const due = [...slots.keys()].filter((tick) => tick <= nowTick).toSorted((a, b) => a - b)
    const fires = due.map((tick) => slots.get(tick))
    for (const tick of due) slots.delete(tick)
    rearm(nowTick)
    callEach(firesOf(fires))
  }
  return {
    nowMs: () => clock.nowMs(),
    after(delayMs, fire) {
      const nowMs = clock.nowMs()
      const tick = Math.ceil((nowMs + delayMs) / TICK_MS)
      const slot = slots.get(tick) ?? new Set()
      slots.set(tick, slot)
      const own = () => fire()
      slot.add(own)
      if (tick < armedTick) {
        const hand = Math.min(tick, Math.floor(nowMs / TICK_MS) + HAND_MS / TICK_MS)
        if (hand < armedTick) arm(hand)
      }
      return () => {
        slot.delete(own)
        // The hand stays armed: the next deadline probably comes before it.
        if (slot.size === 0 && slots.get(tick) === slot) slots.delete(tick)
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
