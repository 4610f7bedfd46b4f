/** Many deadlines over one timer: none early, none a tick late, and few timers however many jobs come and go. */
import { describe, expect, it } from 'vitest'
import { createTimerWheel, HAND_MS, SHORT_TICK_MS, TICK_MS } from '#p2p/stream/timer-wheel.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'
import { createRandom } from '#test/support/random.ts'

describe('the timer wheel', () => {
  it('fires in order of time, and what was cancelled never', () => {
    const clock = createCountedClock(17)
    const wheel = createTimerWheel(clock)
    const fired: string[] = []
    wheel.after(3 * TICK_MS, () => fired.push('third'))
    wheel.after(TICK_MS, () => fired.push('first'))
    const cancel = wheel.after(2 * TICK_MS, () => fired.push('cancelled'))
    wheel.after(2 * TICK_MS, () => fired.push('second'))
    cancel()
    clock.advance(10 * TICK_MS)
    expect(fired).toEqual(['first', 'second', 'third'])
  })

  it.each([1, 2, 3, 4])('is never early and never a tick late (seed %i)', (seed) => {
    const random = createRandom(seed)
    const clock = createCountedClock(random.below(1_000))
    const wheel = createTimerWheel(clock)
    const ticksLate: number[] = []
    let wrong = 0
    let due = 0
    const schedule = (depth: number): void => {
      const delayMs = random.below(random.chance(0.5) ? 70_000 : HAND_MS)
      const dueMs = clock.nowMs() + delayMs
      const isCancelled = random.chance(0.4)
      if (!isCancelled) due += 1
      const cancel = wheel.after(delayMs, () => {
        if (isCancelled) wrong += 1
        const lateBy = clock.nowMs() - dueMs
        ticksLate.push(lateBy / (delayMs < HAND_MS ? SHORT_TICK_MS : TICK_MS))
        if (depth > 0) schedule(depth - 1)
      })
      if (isCancelled) cancel()
    }
    for (let round = 0; round < 400; round += 1) {
      schedule(1)
      clock.advance(random.below(90))
    }
    clock.advance(200_000)
    expect(wrong).toBe(0)
    expect(ticksLate).toHaveLength(due)
    expect(Math.min(...ticksLate)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ticksLate)).toBeLessThan(1)
  })

  it('sets no timer of its own for a job whose deadline is cancelled', () => {
    const clock = createCountedClock()
    const wheel = createTimerWheel(clock)
    for (let job = 0; job < 1_000; job += 1) {
      const stops = [60_000, HAND_MS].map((delayMs) => wheel.after(delayMs, () => {}))
      clock.advance(2)
      for (const stop of stops) stop()
    }
    // Two seconds have passed.
    expect(clock.timersSet).toBeLessThanOrEqual(3)
  })

  it.each([
    [10, SHORT_TICK_MS],
    [HAND_MS, TICK_MS],
  ])('sets at most one timer a tick for deadlines of %i ms that come', (delayMs, tickMs) => {
    const clock = createCountedClock()
    const wheel = createTimerWheel(clock)
    let fired = 0
    for (let at = 0; at < 10_000; at += 1) {
      wheel.after(delayMs, () => (fired += 1))
      clock.advance(1)
    }
    clock.advance(HAND_MS + TICK_MS)
    expect(fired).toBe(10_000)
    expect(clock.timersSet).toBeLessThanOrEqual(10_000 / tickMs + 3)
  })

  it('stops when nothing is to come', () => {
    const clock = createCountedClock()
    const wheel = createTimerWheel(clock)
    wheel.after(60_000, () => {})()
    clock.advance(HAND_MS)
    expect(clock.timersOpen).toBe(0)
    wheel.after(60_000, () => {})
    clock.advance(60_000)
    expect(clock.timersOpen).toBe(0)
  })

  it('fires the others when one throws', () => {
    const clock = createCountedClock()
    const wheel = createTimerWheel(clock)
    const fired: number[] = []
    wheel.after(10, () => {
      throw new Error('a fault')
    })
    wheel.after(10, () => fired.push(1))
    wheel.after(10 + TICK_MS, () => fired.push(2))
    expect(() => clock.advance(TICK_MS)).toThrow('a fault')
    clock.advance(TICK_MS)
    expect(fired).toEqual([1, 2])
  })
})
