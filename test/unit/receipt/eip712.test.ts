import { getAddress, hashTypedData, toHex } from 'viem'
import { describe, expect, it } from 'vitest'
import {
  DOMAIN_NAME,
  DOMAIN_VERSION,
  structHash,
  typedDigest,
  type Word,
} from '#shared/base/eip712.ts'
import { POLICY_TYPE } from '#shared/law/compile-policy.ts'
import { RECEIPT_TYPE, TICKET_TYPE } from '#shared/receipt/receipt.ts'
import { EARNINGS_TYPE, PAYOUT_TYPE } from '#shared/receipt/settlement.ts'
import { createRandom } from '#test/support/random.ts'

const DOMAIN = { chainId: 11_155_111, verifyingContract: getAddress(`0x${'ab'.repeat(20)}`) }

/** `Name(type field,…)` in the form of viem's types. */
function parseType(type: string): { name: string; fields: { type: string; name: string }[] } {
  const [, name = '', list = ''] = /^(\w+)\((.*)\)$/.exec(type) ?? []
  const fields = list.split(',').map((field) => {
    const [fieldType = '', fieldName = ''] = field.split(' ')
    return { type: fieldType, name: fieldName }
  })
  return { name, fields }
}

describe('a typed digest', () => {
  it.each([
    ['Policy', POLICY_TYPE],
    ['Ticket', TICKET_TYPE],
    ['Receipt', RECEIPT_TYPE],
    ['Earnings', EARNINGS_TYPE],
    ['Payout', PAYOUT_TYPE],
  ])('of a %s equals viem’s', (_name, type) => {
    const random = createRandom(3)
    const { name, fields } = parseType(type)
    for (let i = 0; i < 20; i += 1) {
      const message: Record<string, unknown> = {}
      const words = fields.map((field): Word => {
        const [, kind = '', bits = '256'] = /^([a-z]+)(\d*)$/.exec(field.type) ?? []
        if (kind === 'bool') return (message[field.name] = random.chance(0.5))
        const sizes: Record<string, number> = { address: 20, bytes: 32 }
        const word = toHex(random.bytes(sizes[kind] ?? Number(bits) / 8))
        message[field.name] = kind === 'uint' ? BigInt(word) : word
        return `0x${word.slice(2).padStart(64, '0')}`
      })
      const expected = hashTypedData({
        domain: { name: DOMAIN_NAME, version: DOMAIN_VERSION, ...DOMAIN },
        types: { [name]: fields },
        primaryType: name,
        message,
      })
      expect(typedDigest(DOMAIN, structHash(type, words))).toBe(expected)
    }
  })

  it.each<Word>([`0x${'11'.repeat(20)}`, '0x', `0x${'11'.repeat(33)}`, -1, 1n << 256n])(
    'refuses %s, which is not one word: two structs must never have the same bytes',
    (word) => {
      expect(() => structHash('Pair(bytes32 a,bytes32 b)', [word, 0])).toThrow(RangeError)
    },
  )
})
