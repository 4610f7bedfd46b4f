import { beforeAll, describe, expect, it } from 'vitest'
import type { ChainView } from '#shared/verify/chain-view.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import { invariant } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { buildTree } from '#shared/proof/tree.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { countryBit } from '#shared/law/region.ts'
import { createRandom } from '#test/support/random.ts'
import {
  createReceiptMaker,
  nowOfReceipts,
  type ReceiptMaker,
  type ReceiptWish,
} from '#test/support/hub/receipts.ts'
import { editValue, leafPaths, type Json } from '#test/support/storage/edit-json.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const ISSUED_MS = 1_800_000_000_000
const LATE_MS = ISSUED_MS + 7_200_000
const TRANSACTION: Bytes32 = `0x${'7a'.repeat(32)}`

let maker: ReceiptMaker
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN)
})

/** A settled document, and the chain that it is settled on. */
async function settle(wish: ReceiptWish = {}): Promise<[ReceiptDocument, ChainView]> {
  // Node and hub sign five receipts together, and a batch settles seven: no tree is complete.
  const [receipt, ...others] = await maker.makeAll([wish, {}, {}, {}, {}])
  invariant(receipt, 'the first receipt was made')
  const all = [...others, receipt, ...(await maker.makeAll([{}, {}]))]
  const tree = buildTree(all.map(({ id }) => id))
  const [batchId, blockNumber, receiptRoot] = [3, 21, tree.root]
  const chain: ChainView = {
    domain: DOMAIN,
    isHubKey: async ({ x }) => x === maker.hub.publicKey.x,
    receiptRoot: async (id) => (id === batchId ? receiptRoot : `0x${'0'.repeat(64)}`),
    postedBy: async (hash) =>
      hash === TRANSACTION
        ? { batchId, receiptRoot, receiptCount: tree.size, logRoot: receiptRoot, blockNumber }
        : undefined,
  }
  const index = others.length
  const place = { index, receiptCount: tree.size, proof: tree.proof(index) }
  const settlement = { batchId, receiptRoot, ...place, transactionHash: TRANSACTION, blockNumber }
  return [
    { receipt, salt: null, status: 'settled', refusal: null, settlement, settlesByMs: null },
    chain,
  ]
}

async function failures(document: unknown, chain: ChainView): Promise<string[]> {
  const { ok, lines } = await verifyReceipt(document, { chain, nowMs: nowOfReceipts() })
  const failed = lines.filter(({ result }) => result === 'failed').map(({ name }) => name)
  expect(ok).toBe(failed.length === 0)
  return failed
}

describe('the verifier', () => {
  it('passes a receipt that is whole and settled', async () => {
    expect(await failures(...(await settle()))).toEqual([])
  })

  it('[V1] finds any edited byte and names the check that failed', async () => {
    const [document, chain] = await settle()
    const random = createRandom(7)
    const paths = leafPaths(document as unknown as Json).filter(([first]) => first !== 'salt')
    expect(paths.length).toBeGreaterThan(50)
    for (const path of paths) {
      for (let i = 0; i < 3; i += 1) {
        const at = random.below(4_096)
        const failed = await failures(editValue(document, path, at), chain)
        expect(failed, `${path.join('.')} at ${at}`).not.toEqual([])
      }
    }
  })

  it.each([
    ['hub.registered', 'a hub that the contract does not know', { isHubKey: async () => false }],
    ['settlement.root', 'another root on the chain', { receiptRoot: async () => TRANSACTION }],
    ['settlement.transaction', 'no such transaction', { postedBy: async () => undefined }],
    ['receipt.domain', 'another contract', { domain: { ...DOMAIN, chainId: 1 } }],
  ])('fails %s for %s', async (name, _case, change) => {
    const [document, chain] = await settle()
    expect(await failures(document, { ...chain, ...change })).toContain(name)
  })

  it.each<[string, ReceiptWish]>([
    ['place', { place: { country: countryBit('US') } }],
    ['place', { place: { evidence: 'declared' } }],
    ['ticket.units', { ticket: { units: 2 }, receipt: { units: 3, amountMicroUsd: '21' } }],
    ['ticket.times', { receipt: { startedAtMs: 0 } }],
    ['ticket.times', { receipt: { startedAtMs: ISSUED_MS - 1 } }],
    ['ticket.times', { receipt: { startedAtMs: ISSUED_MS + 9, finishedAtMs: ISSUED_MS + 8 } }],
    ['ticket.times', { receipt: { finishedAtMs: ISSUED_MS + 120_001 } }],
    ['ticket.times', { receipt: { finishedAtMs: 32_503_680_000_000 } }],
    ['ticket.times', { receipt: { finishedAtMs: LATE_MS }, ticket: { expiresAtMs: LATE_MS } }],
    ['amount', { receipt: { amountMicroUsd: '22' } }],
    ['ticket.allowed', { ticket: { allowed: `0x${'f'.repeat(64)}` } }],
    ['policy.hash', { ticket: { policyHash: TRANSACTION } }],
  ])('fails only %s for a receipt that hub and node signed', async (name, wish) => {
    expect(await failures(...(await settle(wish)))).toEqual([name])
  })

  it('fails a receipt whose presence record is of another receipt key', async () => {
    const [document, chain] = await settle()
    const stranger = await (await createReceiptMaker(DOMAIN)).make()
    const receipt = { ...document.receipt, presence: stranger.presence }
    expect(await failures({ ...document, receipt }, chain)).toEqual(['presence.binding'])
  })

  it('[V2] rejects a simulated place, and where it is allowed says that it proves nothing', async () => {
    const [document, chain] = await settle({ place: { source: 'simulated' } })
    expect(await failures(document, chain)).toEqual(['place.evidence'])
    const trust = { chain, allowSimulated: true, nowMs: nowOfReceipts() }
    const { ok, lines } = await verifyReceipt(document, trust)
    expect(ok).toBe(true)
    const detail = 'place: simulated, proves nothing'
    expect(lines).toContainEqual({ name: 'place.evidence', result: 'simulated', detail })
  })

  it('says that a receipt is pending, and when it should settle', async () => {
    const [document, chain] = await settle()
    const pending = { ...document, status: 'pending', settlement: null, settlesByMs: ISSUED_MS }
    const say = async (nowMs: number) => {
      const { ok, verdict } = await verifyReceipt(pending, { chain, nowMs })
      expect([ok, verdict.result]).toEqual([false, 'incomplete'])
      return verdict.title
    }
    expect(await say(ISSUED_MS)).toContain(
      '1 job pending, to be settled by 2027-01-15T08:00:00.000Z',
    )
    expect(await say(ISSUED_MS + 1)).toContain('should have settled by 2027-01-15T08:00:00.000Z')
  })

  it('does not pass a receipt that settlement refused', async () => {
    const [document, chain] = await settle()
    const pending = { ...document, status: 'pending', settlement: null }
    const refused = { ...pending, status: 'refused', refusal: 'compute.allow' }
    expect(await failures(refused, chain)).toEqual(['settlement.status'])
  })
})
