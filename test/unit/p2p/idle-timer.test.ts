/** One timer for many short waits. */
import { describe, expect, it } from 'vitest'
import { createIdleTimer } from '#p2p/stream/idle-timer.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'

function create() {
  const clock = createCountedClock()
  const idleAtMs: number[] = []
  const timer = createIdleTimer(100, () => idleAtMs.push(clock.nowMs()), clock)
  return { clock, timer, idleAtMs }
}

describe('an idle timer', () => {
  it('fires its time after the last start, and not for one that was paused', () => {
    const { clock, timer, idleAtMs } = create()
    timer.start()
    clock.advance(60)
    timer.start()
    clock.advance(60)
    timer.pause()
    clock.advance(500)
    expect(idleAtMs).toEqual([])
    timer.start()
    clock.advance(60)
    timer.start()
    clock.advance(500)
    expect(idleAtMs).toEqual([780])
  })

  it('sets one timer of the runtime for many starts', () => {
    const { clock, timer, idleAtMs } = create()
    for (let n = 0; n < 1_000; n += 1) {
      timer.start()
      clock.advance(1)
      timer.pause()
    }
    expect(idleAtMs).toEqual([])
    expect(clock.timersSet).toBeLessThanOrEqual(11)
  })

  it('leaves nothing behind when it is stopped', () => {
    const { clock, timer, idleAtMs } = create()
    timer.start()
    timer.stop()
    expect(clock.timersOpen).toBe(0)
    clock.advance(1_000)
    expect(idleAtMs).toEqual([])
  })
})
