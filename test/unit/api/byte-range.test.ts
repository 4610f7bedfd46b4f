/** Byte ranges of a body, for any split into chunks. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRange, sliceBody } from '#worker/api/pages/byte-range.ts'

describe('a byte range', () => {
  it.each([
    ['bytes=0-', { start: 0, end: 100 }],
    ['bytes=40-', { start: 40, end: 100 }],
    ['bytes=40-49', { start: 40, end: 50 }],
    ['bytes=40-900', { start: 40, end: 100 }],
    ['bytes=100-', null],
    ['bytes=50-49', null],
    ['bytes=-5', undefined],
    ['bytes=0-1,5-6', undefined],
    ['items=0-', undefined],
    [undefined, undefined],
  ])('%s of 100 bytes is %o', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range)
  })

  it('gives exactly its bytes of any body', async () => {
    const Cut = fc.record({
      pieces: fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 10 }),
      a: fc.nat(200),
      b: fc.nat(200),
    })
    await fc.assert(
      fc.asyncProperty(Cut, async ({ pieces, a, b }) => {
        const all = new Uint8Array(Buffer.concat(pieces))
        const [start, end] = [Math.min(a, b), Math.min(Math.max(a, b) + 1, all.length)]
        if (start >= end) return
        const body = sliceBody(ReadableStream.from(pieces), { start, end })
        expect(new Uint8Array(await new Response(body).arrayBuffer())).toEqual(
          all.subarray(start, end),
        )
      }),
    )
  })
})
