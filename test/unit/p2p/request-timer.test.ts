/** The deadlines of one request share one timer. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRequestTimer } from '#p2p/stream/request-timer.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the timer of a request', () => {
  it('calls when a deadline is due, and not before', () => {
    const timer = createRequestTimer()
    const onDue = vi.fn()
    timer.start(1_000, onDue)
    vi.advanceTimersByTime(999)
    expect(onDue).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(onDue).toHaveBeenCalledOnce()
  })

  it('keeps a later deadline by the timer that an earlier one has set', () => {
    const set = vi.spyOn(globalThis, 'setTimeout')
    const timer = createRequestTimer()
    const [body, hub] = [vi.fn(), vi.fn()]
    timer.start(10_000, body)()
    timer.start(61_000, hub)
    expect(set).toHaveBeenCalledOnce()
    vi.advanceTimersByTime(60_999)
    expect(hub).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(hub).toHaveBeenCalledOnce()
    expect(body).not.toHaveBeenCalled()
  })

  it('sets the timer anew for an earlier deadline', () => {
    const timer = createRequestTimer()
    const onDue = vi.fn()
    timer.start(10_000, vi.fn())()
    timer.start(50, onDue)
    vi.advanceTimersByTime(50)
    expect(onDue).toHaveBeenCalledOnce()
  })

  it('leaves nothing behind at its end', () => {
    const timer = createRequestTimer()
    const onDue = vi.fn()
    timer.start(1_000, onDue)
    timer.end()
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(2_000)
    expect(onDue).not.toHaveBeenCalled()
  })
})
