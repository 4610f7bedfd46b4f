/** The frame codec by itself. */
import { describe, expect, test } from 'vitest'
import {
  bareFrame,
  createFrameDecoder,
  encodeFrame,
  encodeHeader,
  HEADER_BYTES,
  jsonFrame,
  numberFrame,
  readJson,
  readNumber,
  type Frame,
  longestBody,
  FRAME_BYTES,
  CONTROL_FRAME_BYTES,
} from '#p2p/stream/frames.ts'
import { ReceiptAck } from '#p2p/stream/messages.ts'
import { errorFrame, readHubError, readNodeError, readWireError } from '#p2p/stream/wire-error.ts'
import { AppError } from '#shared/base/errors.ts'
import { codeOf } from '#test/support/storage/code-of.ts'

function decode(...chunks: Uint8Array[]): Frame[] {
  const frames: Frame[] = []
  const decoder = createFrameDecoder()
  for (const chunk of chunks) decoder.push(chunk, (frame) => void frames.push(frame))
  return frames
}

function header(lengthBytes: number, code: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  new DataView(bytes.buffer).setUint32(0, lengthBytes)
  bytes[4] = code
  return bytes
}

describe('frames', () => {
  test('[W2] a frame has its length, kind and job number in nine big-endian bytes', () => {
    const bytes = encodeFrame({ kind: 'data', job: 0x01020304, body: new Uint8Array([9, 8]) })
    expect([...bytes]).toEqual([0, 0, 0, 2, 6, 1, 2, 3, 4, 9, 8])
    expect(decode(bytes)).toEqual([{ kind: 'data', job: 0x01020304, body: new Uint8Array([9, 8]) }])
  })

  test('[W2] frames survive being cut at every byte', () => {
    const frames = [
      bareFrame('end', 1),
      numberFrame('credit', 2, 4_000_000_000),
      jsonFrame('ack', 0, { receiptIds: [] }),
      jsonFrame('cancel', 3, { reason: 'late' }),
    ]
    const bytes = Buffer.concat(frames.map(encodeFrame))
    const cut = Array.from(bytes, (byte) => new Uint8Array([byte]))
    expect(decode(...cut)).toEqual(frames)
    expect(decode(bytes)).toEqual(frames)
    expect(readNumber(frames[1] ?? bareFrame('end', 0))).toBe(4_000_000_000)
  })

  test('[W3] a body over the bound of its kind is refused by its header alone', () => {
    expect(codeOf(() => decode(header(FRAME_BYTES + 1, 6)))).toBe('too_large')
    expect(codeOf(() => decode(header(CONTROL_FRAME_BYTES + 1, 5)))).toBe('too_large')
    expect(codeOf(() => decode(header(longestBody('result') + 1, 8)))).toBe('too_large')
    expect(codeOf(() => decode(header(2 ** 32 - 1, 6)))).toBe('too_large')
    expect(decode(header(FRAME_BYTES, 6))).toEqual([])
  })

  test('[W3] a declared length costs no memory before its bytes come', () => {
    const decoder = createFrameDecoder()
    decoder.push(header(CONTROL_FRAME_BYTES, 5), () => {})
    expect(decoder.pendingBytes()).toBe(HEADER_BYTES)
  })

  test('[W3] unknown kinds and wrong fixed lengths are refused', () => {
    expect(codeOf(() => decode(header(0, 0)))).toBe('invalid_request')
    expect(codeOf(() => decode(header(0, 99)))).toBe('invalid_request')
    expect(codeOf(() => decode(header(1, 7)))).toBe('invalid_request')
    expect(codeOf(() => decode(header(3, 11)))).toBe('invalid_request')
  })

  test('[W3] a sender is held to the same bounds', () => {
    const body = new Uint8Array(FRAME_BYTES + 1)
    expect(codeOf(() => encodeHeader({ kind: 'data', job: 1, body }))).toBe('too_large')
  })

  test('[W3] a body that does not fit its schema is invalid_request with a pointer', () => {
    const read = (value: unknown) => () => readJson(ReceiptAck, jsonFrame('ack', 0, value))
    expect(codeOf(read({ receiptIds: ['0x12'] }))).toBe('invalid_request')
    expect(codeOf(read({ receiptIds: [], more: 1 }))).toBe('invalid_request')
    expect(read({ receiptIds: ['0x12'] })).toThrow('/receiptIds/0')
    const notText = { kind: 'ack', job: 0, body: new Uint8Array([0xff, 0xfe]) } as const
    expect(codeOf(() => readJson(ReceiptAck, notText))).toBe('invalid_request')
  })
})

describe('errors on the wire', () => {
  test('[W8] keep their code, detail and facts', () => {
    const sent = new AppError('residency_unsatisfiable', 'no', { meta: { rule: 'compute.allow' } })
    expect(readWireError(errorFrame(3, sent))).toMatchObject({
      code: 'residency_unsatisfiable',
      detail: 'no',
      meta: { rule: 'compute.allow' },
    })
  })

  test('[W8] tell a node when it may return, and tell a caller nothing of that from a node', () => {
    const meta = { rule: 'seats', retryAfterSeconds: 598 }
    const frame = errorFrame(0, new AppError('no_capacity', 'Not now.', { meta }))
    expect(readHubError(frame).meta).toEqual(meta)
    expect(readNodeError(frame).meta).toEqual({ rule: 'seats' })
    const endless = { ...meta, retryAfterSeconds: 10 ** 9 }
    const odd = errorFrame(0, new AppError('no_capacity', 'Not now.', { meta: endless }))
    expect(readHubError(odd).meta).toEqual({ rule: 'seats' })
  })

  test('[W8] with a code unknown to this build become node_lost', () => {
    const frame = jsonFrame('error', 1, { code: 'too_hot', detail: 'fan', retryable: true })
    expect(readWireError(frame).code).toBe('node_lost')
  })

  test('[W8] stay within their schema however long they are', () => {
    const sent = new AppError('internal', 'x'.repeat(100_000), {
      meta: { rule: 'y'.repeat(1e6) },
    })
    const read = readWireError(errorFrame(1, sent))
    expect(read.detail).toHaveLength(4096)
    expect(read.meta).toEqual({})
  })
})
