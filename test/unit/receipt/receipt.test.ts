import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkReceipt } from '#shared/receipt/check-receipt.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import {
  commitment,
  digestBytes,
  RECEIPT_LAYOUT,
  receiptId,
  SignedReceipt,
} from '#shared/receipt/receipt.ts'
import { createReceiptMaker, nowOfReceipts, type ReceiptMaker } from '#test/support/hub/receipts.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const

let maker: ReceiptMaker
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN, 2)
})

async function broken(signed: SignedReceipt): Promise<string[]> {
  const checks = await checkReceipt(signed, { domain: DOMAIN, nowMs: nowOfReceipts() })
  return checks.filter(({ ok }) => !ok).map(({ rule }) => rule)
}

describe('a signed receipt', () => {
  it('survives the wire and satisfies every rule', async () => {
    const signed = await maker.make()
    const again = SignedReceipt.parse(JSON.parse(JSON.stringify(signed)))
    expect(again).toEqual(signed)
    expect(await broken(again)).toEqual([])
  })

  it('has an id that no other attempt, node, amount or place shares', async () => {
    const base = await maker.make()
    const { jobId } = base.receipt.ticket
    const others = await Promise.all([
      maker.make({ jobId, attempt: 2 }),
      maker.make({ jobId, node: 1 }),
      maker.make({ jobId, units: 4 }),
      maker.make({ jobId, place: { trust: 'verified' } }),
      maker.make({ jobId, receipt: { provider: 'cpu' } }),
      maker.make({ jobId, receipt: { finishedAtMs: base.receipt.finishedAtMs + 1 } }),
    ])
    const ids = [base, ...others].map(({ receipt }) =>
      receiptId(RECEIPT_LAYOUT.encode(DOMAIN, receipt)),
    )
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('fails the check of each signature that is not its own', async () => {
    const [one, two] = [await maker.make(), await maker.make({ node: 1 })]
    expect(await broken({ ...one, nodeSignature: two.nodeSignature })).toEqual(['node.signature'])
    expect(await broken({ ...one, hubSignature: two.hubSignature })).toEqual(['hub.signature'])
    expect(await broken({ ...one, id: two.id })).toEqual(['receipt.id'])
  })
})

describe('a commitment', () => {
  it('is the same only for the same salt and bytes', async () => {
    const salt = (byte: string): Bytes32 => `0x${byte.repeat(32)}`
    const digest = await digestBytes(new Uint8Array([1, 2, 3]))
    const other = await digestBytes(new Uint8Array([1, 2, 4]))
    expect(commitment(salt('01'), digest)).toBe(commitment(salt('01'), digest))
    expect(commitment(salt('01'), digest)).not.toBe(commitment(salt('02'), digest))
    expect(commitment(salt('01'), digest)).not.toBe(commitment(salt('01'), other))
    expect(commitment(salt('01'), digest)).not.toBe(digest)
    const bytes = Buffer.from(salt('01').slice(2) + digest.slice(2), 'hex')
    expect(commitment(salt('01'), digest)).toBe(
      `0x${createHash('sha256').update(bytes).digest('hex')}`,
    )
  })
})
