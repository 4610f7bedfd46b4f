/** The frame codec with random frames, cuts and damage. A failure prints its seed. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createFrameDecoder,
  encodeFrame,
  HEADER_BYTES,
  longestBody,
  type Frame,
} from '#p2p/stream/frames.ts'
import { errorCode } from '#shared/base/errors.ts'

const job = fc.nat(0xffffffff)
const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const four = fc.uint8Array({ minLength: 4, maxLength: 4 })
const empty = fc.constant(new Uint8Array(0))

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constant('data' as const), job, body: bytes(70_000) }),
  fc.record({
    kind: fc.constantFrom('hello', 'welcome', 'job', 'result', 'error', 'receipt', 'ack'),
    job,
    body: bytes(3_000),
  }),
  fc.record({ kind: fc.constantFrom('ping', 'pong', 'credit'), job, body: four }),
  fc.record({ kind: fc.constant('cancel' as const), job, body: bytes(1_000) }),
  fc.record({ kind: fc.constant('end' as const), job, body: empty }),
)

/** Cuts the bytes at these places. */
function cut(all: Uint8Array, places: readonly number[]): Uint8Array[] {
  const borders = [0, ...places.map((place) => place % (all.length + 1)), all.length]
  borders.sort((a, b) => a - b)
  return borders.slice(1).map((end, at) => all.subarray(borders[at], end))
}

describe('codec', () => {
  test('[W2] any frames, cut anywhere, are decoded unchanged', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), fc.array(fc.nat()), (frames, places) => {
        const decoder = createFrameDecoder()
        const seen: Frame[] = []
        for (const chunk of cut(Buffer.concat(frames.map(encodeFrame)), places))
          decoder.push(chunk, (got) => void seen.push(got))
        expect(seen).toEqual(frames)
        expect(decoder.pendingBytes()).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  test('[W3] any bytes either decode within bounds or are refused with a code, and never hang', () => {
    fc.assert(
      fc.property(bytes(5_000), fc.array(fc.nat()), (noise, places) => {
        const decoder = createFrameDecoder()
        try {
          for (const chunk of cut(noise, places))
            decoder.push(chunk, ({ kind, body }) => {
              expect(body.byteLength).toBeLessThanOrEqual(longestBody(kind))
            })
          expect(decoder.pendingBytes()).toBeLessThanOrEqual(noise.length)
        } catch (error) {
          expect(['invalid_request', 'too_large']).toContain(errorCode(error))
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test('[W3] one damaged byte in a header evades no bound', () => {
    fc.assert(
      fc.property(frame, fc.nat(HEADER_BYTES - 1), fc.nat(255), (sent, at, value) => {
        const damaged = encodeFrame(sent)
        damaged[at] = value
        const decoder = createFrameDecoder()
        let bodyBytes = 0
        try {
          decoder.push(damaged, ({ body }) => {
            bodyBytes += body.byteLength
          })
        } catch (error) {
          expect(['invalid_request', 'too_large']).toContain(errorCode(error))
        }
        expect(bodyBytes).toBeLessThanOrEqual(damaged.length)
      }),
      { numRuns: 3_000 },
    )
  })
})
