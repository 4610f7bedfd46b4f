/** Our SHA-256 in JavaScript against Node's. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256 } from '#shared/base/sha256.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const native = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('SHA-256 in JavaScript', () => {
  it('gives the digests of FIPS 180-4', () => {
    const text = (value: string) => hex(sha256(new TextEncoder().encode(value)))
    expect(text('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(text('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('agrees with Node on every length over four blocks, where the padding takes each of its forms', () => {
    for (let length = 0; length <= 256; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length) % 256)
      expect(hex(sha256(bytes))).toBe(native(bytes))
    }
  })

  it('agrees with Node on any bytes, and leaves them and earlier digests as they were', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2_000 }),
        fc.uint8Array({ maxLength: 2_000 }),
        (one, two) => {
          const before = hex(one)
          const first = sha256(one)
          const second = sha256(two)
          expect([hex(first), hex(second), hex(one)]).toEqual([native(one), native(two), before])
        },
      ),
    )
  })
})
