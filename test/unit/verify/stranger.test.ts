/** A stranger's check of a receipt: by the tables of docs/design/receipt-bytes.md and node:crypto, without our code. */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { EVIDENCE_CLASSES, EVIDENCE_SOURCES, NODE_TRUSTS } from '#shared/law/policy.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'
import { oneOf } from '#test/support/residency/draw.ts'
import { createRandom } from '#test/support/random.ts'

const PAGE = readFileSync(new URL('../../../docs/design/receipt-bytes.md', import.meta.url), 'utf8')

/** The rows of the page's table under a heading: name of the field, its type, and the third column. */
function fieldsUnder(heading: string): (readonly [name: string, type: string, more: string])[] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| `([\w.]+)` \| ([\w ]+) \|(?: (.*?) ?\|)?$/gm)].map(
    ([, name = '', type = '', more = '']) => [name, type, more],
  )
}

/** One value by its type on the page. */
function encode(type: string, value: unknown, words: string): Buffer {
  const [size = '', unit] = type.split(' ')
  if (type === 'text') {
    const text = Buffer.from(typeof value === 'string' ? value : '', 'utf8')
    return Buffer.concat([Buffer.of(text.length), text])
  }
  if (type === 'word') return Buffer.of(words.split(', ').indexOf(String(value)))
  const bytes = unit === 'bytes' ? Number(size) : Number(size.slice(1)) / 8
  const hex =
    unit === 'bytes' ? String(value).slice(2) : BigInt(value as number | string).toString(16)
  return Buffer.from(hex.padStart(2 * bytes, '0'), 'hex')
}

/** The member of a document under a path like `ticket.place.country`. */
function member(document: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], document)
}

function struct(kind: string, domain: SignedReceipt['domain'], fields: [string, object]): Buffer {
  const header = { kind: `littoral ${kind}`, version: 1, domain }
  const [heading, value] = fields
  return Buffer.concat([
    ...fieldsUnder('Header').map(([name, type]) => encode(type, member(header, name), '')),
    ...fieldsUnder(heading).map(([name, type, words]) => encode(type, member(value, name), words)),
  ])
}

function sha256(...parts: Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest()
}

/** The steps of the page; undefined for a path that does not fit. */
function rootOf(id: Buffer, index: number, size: number, path: readonly string[]) {
  let [at, last, hash] = [index, size - 1, id]
  for (const each of path) {
    if (last === 0) return undefined
    const sibling = Buffer.from(each.slice(2), 'hex')
    const isLeft = at % 2 === 1 || at === last
    hash = isLeft ? sha256(Buffer.of(1), sibling, hash) : sha256(Buffer.of(1), hash, sibling)
    if (isLeft) while (at % 2 === 0 && at !== 0) [at, last] = [at >> 1, last >> 1]
    ;[at, last] = [at >> 1, last >> 1]
  }
  return last === 0 ? hash : undefined
}

/** Tells whether the document's id and both signatures are right. */
function passes({ domain, receipt, id, hubKey, ...signed }: SignedReceipt): boolean {
  const leaf = sha256(Buffer.of(0), struct('receipt', domain, ['Receipt', receipt]))
  const isSigned = ([by, key]: readonly ['node' | 'hub', SignedReceipt['hubKey']]): boolean => {
    const { index, size, path, signature } = signed[`${by}Signature`]
    const root = rootOf(leaf, index, size, path)
    if (root === undefined) return false
    const value = { root: `0x${root.toString('hex')}`, size }
    const digest = sha256(struct(`${by} root`, domain, ['Signatures', value]))
    const part = (hex: string) => Buffer.from(hex.slice(2), 'hex').toString('base64url')
    const jwk = { kty: 'EC', crv: 'P-256', x: part(key.x), y: part(key.y) }
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
    const bytes = Buffer.from(signature.slice(2), 'hex')
    return verify('sha256', digest, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes)
  }
  const keys = [['node', receipt.receiptKey] as const, ['hub', hubKey] as const]
  return `0x${leaf.toString('hex')}` === id && keys.every(isSigned)
}

let receipts: SignedReceipt[]
beforeAll(async () => {
  const random = createRandom(41)
  const chain = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
  const wishes = Array.from({ length: 80 }, (_, i) => ({
    node: random.below(3),
    attempt: 1 + random.below(3),
    units: random.below(1_000_000),
    priceMicroUsd: random.below(1_000_000),
    place: {
      country: random.below(250),
      evidence: EVIDENCE_CLASSES[i % EVIDENCE_CLASSES.length] ?? 'observed',
      source: oneOf(random, EVIDENCE_SOURCES),
      trust: oneOf(random, NODE_TRUSTS),
    },
    receipt: { provider: oneOf(random, PROVIDERS) },
  }))
  const makers = [await createReceiptMaker(chain, 3), await createReceiptMaker(NO_DOMAIN, 3)]
  receipts = (await Promise.all(makers.map((maker) => maker.makeAll(wishes)))).flat()
})

describe('a stranger who has only the page about bytes', () => {
  it('finds that receipts of every kind are signed by node and hub', () => {
    for (const receipt of receipts) expect(passes(receipt), receipt.id).toBe(true)
    const sizes = receipts.map(({ hubSignature, nodeSignature }) => [
      hubSignature.size,
      nodeSignature.size,
    ])
    expect(new Set(sizes.flat()).size).toBeGreaterThan(4)
  })

  it('finds a field, a place in a tree, or a key that was changed', () => {
    const [first, second] = receipts
    if (first === undefined || second === undefined) throw new Error('there are two receipts')
    const { receipt, hubSignature } = first
    const units = receipt.units + 1
    expect(passes({ ...first, receipt: { ...receipt, units } })).toBe(false)
    expect(passes({ ...first, hubSignature: second.hubSignature })).toBe(false)
    const size = hubSignature.size - 1
    expect(passes({ ...first, hubSignature: { ...hubSignature, size } })).toBe(false)
    expect(passes({ ...first, hubKey: receipt.receiptKey })).toBe(false)
  })

  it('needs no field that the page lacks', () => {
    const names = (value: object, path = ''): string[] =>
      Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
        typeof inner === 'object' && inner !== null
          ? names(inner, `${path}${name}.`)
          : [`${path}${name}`],
      )
    const listed = fieldsUnder('Receipt').map(([name]) => name)
    expect(listed).toEqual(names(receipts[0]?.receipt ?? {}))
  })
})
