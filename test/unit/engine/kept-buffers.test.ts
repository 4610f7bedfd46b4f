/** Buffers of sessions on a device: private to the session, and removed when idle. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { createKeptBuffers } from '#engine/kernels/kept-buffers.ts'

const idOf = (n: number) => `0x${n.toString(16).padStart(64, '0')}` as const

/** Only its size and its destruction matter. */
function createBuffer(sizeBytes: number) {
  const buffer = { size: sizeBytes, isDestroyed: false, destroy: () => {} }
  buffer.destroy = () => void (buffer.isDestroyed = true)
  return buffer
}

const held = (buffer: ReturnType<typeof createBuffer>) =>
  new Map([[0, buffer as unknown as GPUBuffer]])

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the buffers of sessions', () => {
  it('are destroyed after the idle time, even without another session', () => {
    const kept = createKeptBuffers(() => Date.now())
    const [first, second] = [createBuffer(4), createBuffer(4)]
    kept.keep({ id: idOf(1), step: 1 }, held(first))
    vi.advanceTimersByTime(LIMITS.sessionIdleMs / 2)
    kept.keep({ id: idOf(2), step: 1 }, held(second))
    vi.advanceTimersByTime(LIMITS.sessionIdleMs / 2 + 2)
    expect([first.isDestroyed, second.isDestroyed]).toEqual([true, false])
    vi.advanceTimersByTime(LIMITS.sessionIdleMs / 2 + 2)
    expect(second.isDestroyed).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('stay while steps come', () => {
    const kept = createKeptBuffers(() => Date.now())
    const buffer = createBuffer(4)
    for (let step = 1; step < 10; step += 1) {
      if (step > 1) expect(kept.take({ id: idOf(1), step }).size).toBe(1)
      kept.keep({ id: idOf(1), step }, held(buffer))
      vi.advanceTimersByTime(LIMITS.sessionIdleMs * 0.9)
      expect(buffer.isDestroyed).toBe(false)
    }
    kept.clear()
    expect([buffer.isDestroyed, vi.getTimerCount()]).toEqual([true, 0])
  })

  it('are found only under their id and for the next step', () => {
    const kept = createKeptBuffers(() => Date.now())
    kept.keep({ id: idOf(1), step: 1 }, held(createBuffer(4)))
    expect(() => kept.take({ id: idOf(2), step: 2 })).toThrow('does not hold')
    expect(() => kept.take({ id: idOf(1), step: 3 })).toThrow('does not hold')
    expect(() => kept.take({ id: idOf(1), step: 2 })).toThrow('does not hold')
    kept.clear()
  })

  it('are bounded in bytes, the least recently used first to go', () => {
    const kept = createKeptBuffers(() => Date.now())
    const all = Array.from({ length: 6 }, () => createBuffer(32 * MIB))
    all.forEach((buffer, n) => kept.keep({ id: idOf(n), step: 1 }, held(buffer)))
    const destroyed = all.flatMap(({ isDestroyed }, n) => (isDestroyed ? [n] : []))
    expect(destroyed).toEqual([0, 1])
    kept.clear()
  })
})
