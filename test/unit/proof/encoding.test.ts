import fc from 'fast-check'
import { bytesToHex } from 'viem'
import { describe, expect, it } from 'vitest'
import {
  amount,
  bytes,
  decode,
  encode,
  flag,
  list,
  oneOf,
  optional,
  optionalText,
  struct,
  text,
  uint,
  word,
  type Field,
} from '#shared/proof/encoding.ts'
import { layout } from '#shared/proof/layout.ts'

interface Sample {
  readonly name: string
  readonly nickname: string | null
  readonly size: number
  readonly big: number
  readonly hash: `0x${string}`
  readonly isOn: boolean
  readonly kind: 'a' | 'b' | 'c'
  readonly sum: string
  readonly inner: { readonly parts: string[]; readonly body: Uint8Array | null }
}

const SAMPLE = struct<Sample>({
  name: text(),
  nickname: optionalText(),
  size: uint(2),
  big: uint(8),
  hash: word,
  isOn: flag,
  kind: oneOf(['a', 'b', 'c']),
  sum: amount,
  inner: struct<Sample['inner']>({ parts: list(text()), body: optional(bytes) }),
})

const shortText = fc.string({ maxLength: 40, unit: 'grapheme' })
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((value) => bytesToHex(value))
const sample: fc.Arbitrary<Sample> = fc.record({
  name: shortText,
  nickname: fc.option(shortText.filter((value) => value !== '')),
  size: fc.nat({ max: 65_535 }),
  big: fc.maxSafeNat(),
  hash,
  isOn: fc.boolean(),
  kind: fc.constantFrom('a' as const, 'b' as const, 'c' as const),
  sum: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map(String),
  inner: fc.record({
    parts: fc.array(shortText, { maxLength: 4 }),
    body: fc.option(fc.uint8Array({ maxLength: 50 })),
  }),
})

describe('canonical bytes', () => {
  it('are read back as the value that they were written from', () => {
    fc.assert(
      fc.property(sample, (value) => {
        expect(decode(SAMPLE, encode(SAMPLE, value))).toEqual(value)
      }),
      { seed: 10, numRuns: 300 },
    )
  })

  it('are read only if no other bytes mean the same: an edited byte gives another value or an error', () => {
    fc.assert(
      fc.property(sample, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const edited = encode(SAMPLE, value)
        const index = at % edited.length
        edited[index] = (edited[index] ?? 0) ^ change
        const again = attempt(() => encode(SAMPLE, decode(SAMPLE, edited)))
        if (again !== undefined) expect(again).toEqual(edited)
      }),
      { seed: 11, numRuns: 500 },
    )
  })

  it('cut short or followed by others are refused', () => {
    fc.assert(
      fc.property(sample, fc.nat(), (value, cut) => {
        const whole = encode(SAMPLE, value)
        const error = expect.objectContaining({ code: 'invalid_request' })
        expect(() => decode(SAMPLE, whole.subarray(0, cut % whole.length))).toThrow(error)
        expect(() => decode(SAMPLE, new Uint8Array([...whole, 0]))).toThrow(error)
      }),
      { seed: 12, numRuns: 200 },
    )
  })

  it.each<[string, () => unknown]>([
    ['a number over its width', () => encode(uint(1), 256)],
    ['a negative number', () => encode(uint(4), -1)],
    ['a fraction', () => encode(uint(4), 0.5)],
    ['half of a surrogate pair', () => encode(text(), '\ud800')],
    ['a text of 256 bytes', () => encode(text(), 'x'.repeat(256))],
    ['an empty text where none may be missing', () => encode(optionalText(), '')],
    ['a word of 31 bytes', () => encode(word, `0x${'11'.repeat(31)}`)],
    ['an amount with a leading zero', () => encode(amount, '01')],
    ['an amount of 2^128', () => encode(amount, (1n << 128n).toString())],
    ['a word that is not in the list', () => encode(oneOf(['a']) as Field<string>, 'b')],
  ])('are not written for %s', (_what, write) => {
    expect(write).toThrow(RangeError)
  })
})

describe('a layout', () => {
  const domain = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
  const ONE = layout('one', 1, struct<{ size: number }>({ size: uint(4) }))

  it('starts with kind, version, chain and contract', () => {
    expect(bytesToHex(ONE.encode(domain, { size: 7 }))).toBe(
      `0x0c${Buffer.from('littoral one').toString('hex')}01${'7a69'.padStart(16, '0')}${'5e'.repeat(20)}00000007`,
    )
    expect(ONE.decode(ONE.encode(domain, { size: 7 }))).toEqual({ domain, value: { size: 7 } })
  })

  it('refuses bytes of another kind or version', () => {
    for (const [kind, version] of [
      ['two', 1],
      ['one', 2],
    ] as const) {
      const other = layout(kind, version, ONE.fields).encode(domain, { size: 7 })
      expect(() => ONE.decode(other)).toThrow(`These bytes are littoral ${kind} ${version}`)
    }
  })
})

function attempt<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}
