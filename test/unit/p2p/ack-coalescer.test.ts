/** Acknowledgements gather briefly, and none is lost while the stream is open. */
import { describe, expect, it } from 'vitest'
import { createAckCoalescer, ACK_GATHER_MS } from '#p2p/stream/ack-coalescer.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { readJson, type Frame } from '#p2p/stream/frames.ts'
import { ReceiptAck } from '#p2p/stream/messages.ts'
import type { Bytes32 } from '#shared/base/ids.ts'

const id = (number: number): Bytes32 => `0x${number.toString(16).padStart(64, '0')}`

function gathering() {
  const sent: (readonly Bytes32[])[] = []
  const frames: FrameStream = {
    ended: Promise.resolve(undefined),
    isOpen: () => true,
    send: (frame: Frame) => void sent.push(readJson(ReceiptAck, frame).receiptIds),
    writable: () => Promise.resolve(),
    close: () => Promise.resolve(),
    fail() {},
  }
  const timers = new Set<{ readonly delayMs: number; fire(): void }>()
  const acks = createAckCoalescer(frames, {
    nowMs: () => 0,
    after(delayMs, fire) {
      const timer = { delayMs, fire }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  })
  return { sent, timers, acks }
}

describe('acknowledgements to a node', () => {
  it('leave together after a moment, with one timer for all', () => {
    const { sent, timers, acks } = gathering()
    acks.push([id(1)])
    acks.push([id(2), id(3)])
    expect(sent).toEqual([])
    expect([...timers].map(({ delayMs }) => delayMs)).toEqual([ACK_GATHER_MS])
    for (const timer of timers) timer.fire()
    expect(sent).toEqual([[id(1), id(2), id(3)]])
    expect(timers.size).toBe(0)
  })

  it('leave at once with a job, and not again', () => {
    const { sent, timers, acks } = gathering()
    acks.push([id(1)])
    acks.flush()
    acks.flush()
    expect(sent).toEqual([[id(1)]])
    expect(timers.size).toBe(0)
  })

  it('never exceed what the schema of one frame allows', () => {
    const { sent, acks } = gathering()
    acks.push(Array.from({ length: 600 }, (_, number) => id(number)))
    acks.flush()
    expect(sent.map(({ length }) => length)).toEqual([256, 256, 88])
    expect(sent.flat()).toEqual(Array.from({ length: 600 }, (_, number) => id(number)))
  })

  it('leave nothing behind when the stream ends', () => {
    const { sent, timers, acks } = gathering()
    acks.push([id(1)])
    acks.drop()
    acks.flush()
    expect(sent).toEqual([])
    expect(timers.size).toBe(0)
  })
})
