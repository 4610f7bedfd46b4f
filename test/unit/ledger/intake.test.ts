import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Address } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { countryBit } from '#shared/law/region.ts'
import { createLedgerCore, type LedgerCore, type LedgerDeps } from '#worker/ledger/core.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { createModelChain, type ModelChain } from '#test/support/storage/model-chain.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import {
  createReceiptMaker,
  nowOfReceipts,
  type ReceiptMaker,
  type ReceiptWish,
} from '#test/support/hub/receipts.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const LATER_MS = 1_800_007_200_000
const CONSUMER: Address = `0x${'c1'.repeat(20)}`

let maker: ReceiptMaker
let storage: TestStorage
let chain: ModelChain
let nowMs: number
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN, 2)
})
beforeEach(() => {
  storage = createSqliteStorage()
  chain = createModelChain(DOMAIN)
  chain.hubs.add(maker.hub.publicKey.x)
  chain.accounts.set(CONSUMER, { balance: 10_000n, limit: 1_000n })
  nowMs = nowOfReceipts()
})
afterEach(() => storage.close())

function start(change: Partial<LedgerDeps> = {}): LedgerCore {
  return createLedgerCore({
    storage,
    chain,
    nowMs: () => nowMs,
    wake: () => {},
    log: silentLog,
    batchMs: 1_000,
    confirmations: 0,
    checkpointOf: async () => null,
    ...change,
  })
}

async function settleAll(ledger: LedgerCore): Promise<void> {
  for (let i = 0; i < 8; i += 1) {
    await ledger.tick()
    chain.mine()
    nowMs += 31_000
  }
}

describe('what a Ledger takes', () => {
  it('is not held up by a receipt beside it that the checks themselves choke on', async () => {
    const ledger = start()
    const [good, bad] = [await maker.make(), await maker.make()]
    const poison = { ...bad, policy: { ...bad.policy, retentionDays: -1 } }
    const outcomes = await ledger.accept([
      { receipt: poison, consumer: CONSUMER },
      { receipt: good, consumer: CONSUMER },
    ])
    expect(outcomes).toMatchObject([
      { status: 'refused', refusal: 'receipt.malformed' },
      { id: good.id, status: 'pending' },
    ])
  })

  it('[L1] is taken once, however often it comes', async () => {
    const ledger = start()
    const entry = { receipt: await maker.make(), consumer: CONSUMER }
    const first = await ledger.accept([entry])
    expect(first).toEqual([{ id: entry.receipt.id, status: 'pending', refusal: null }])
    await ledger.accept([entry, entry])
    await settleAll(ledger)
    expect(await ledger.accept([entry])).toMatchObject([{ status: 'settled' }])
    await settleAll(ledger)
    expect(chain.posted.map(({ receiptCount }) => receiptCount)).toEqual([1])
  })

  it('[L3] is paid once a job: a later attempt of the same job is refused', async () => {
    const ledger = start()
    const first = await maker.make({ attempt: 2 })
    const { jobId } = first.receipt.ticket
    const late = await maker.make({ jobId, attempt: 1, node: 1 })
    await ledger.accept([{ receipt: first, consumer: CONSUMER }])
    const [outcome] = await ledger.accept([{ receipt: late, consumer: CONSUMER }])
    expect(outcome).toEqual({ id: late.id, status: 'refused', refusal: 'duplicate_job' })
    await settleAll(ledger)
    expect(await ledger.status([first.id, late.id])).toMatchObject([
      { status: 'settled' },
      { status: 'refused', refusal: 'duplicate_job', settlement: null },
    ])
    const [, other] = maker.nodes
    expect(await ledger.earnings(other?.publicKey ?? { x: '0x', y: '0x' })).toEqual({
      pendingMicroUsd: '0',
      settledMicroUsd: '0',
      claimable: null,
    })
  })

  it('[L3] leaves the job payable when the attempt before was refused for its place', async () => {
    const ledger = start()
    const outside = await maker.make({ place: { country: countryBit('US') } })
    const { jobId } = outside.receipt.ticket
    const inside = await maker.make({ jobId, attempt: 2 })
    const entries = [outside, inside].map((receipt) => ({ receipt, consumer: CONSUMER }))
    expect(await ledger.accept(entries)).toMatchObject([
      { status: 'refused', refusal: 'compute.allow' },
      { status: 'pending' },
    ])
  })

  const phi = compilePolicy(asPolicy({ id: 'phi', compute: { allow: ['EU'] }, dataClass: 'phi' }), {
    tenant: TENANT,
    version: 1,
  })
  it.each<[string, ReceiptWish]>([
    ['compute.allow', { place: { country: countryBit('US') } }],
    ['compute.allow', { place: { country: 255 } }],
    ['evidence.min', { place: { evidence: 'declared' } }],
    ['evidence.contradicted', { place: { evidence: 'contradicted' } }],
    ['data_class.phi', { policy: phi, place: { trust: 'verified' } }],
    ['ticket.allowed', { ticket: { allowed: `0x${'f'.repeat(64)}` } }],
    ['ticket.units', { ticket: { units: 2 }, receipt: { units: 3, amountMicroUsd: '21' } }],
    ['amount', { receipt: { amountMicroUsd: '1' } }],
    ['ticket.times', { receipt: { startedAtMs: 0 } }],
    ['ticket.times', { receipt: { finishedAtMs: 32_503_680_000_000 } }],
    ['ticket.times', { ticket: { expiresAtMs: LATER_MS }, receipt: { finishedAtMs: LATER_MS } }],
    ['policy.hash', { ticket: { policyHash: `0x${'ab'.repeat(32)}` } }],
  ])(
    '[L4] is refused by %s and never posted, though hub and node signed it',
    async (rule, wish) => {
      const ledger = start()
      const receipt = await maker.make(wish)
      expect(await ledger.accept([{ receipt, consumer: CONSUMER }])).toEqual([
        { id: receipt.id, status: 'refused', refusal: rule },
      ])
      await settleAll(ledger)
      expect(chain.posted).toEqual([])
      expect(await ledger.status([receipt.id])).toMatchObject([
        { status: 'refused', refusal: rule },
      ])
    },
  )

  it('[L2] is not kept when it is forged, so that the true receipt can still come', async () => {
    const ledger = start()
    const receipt = await maker.make()
    const stranger = await maker.make()
    const forged = { ...receipt, hubSignature: stranger.hubSignature }
    expect(await ledger.accept([{ receipt: forged, consumer: CONSUMER }])).toEqual([
      { id: receipt.id, status: 'refused', refusal: 'hub.signature' },
    ])
    expect(await ledger.status([receipt.id])).toEqual([])
    expect(await ledger.accept([{ receipt, consumer: CONSUMER }])).toMatchObject([
      { status: 'pending' },
    ])
  })

  it('[L2] is not kept when it is for another contract', async () => {
    const elsewhere = await createReceiptMaker({ ...DOMAIN, chainId: 1 })
    const receipt = await elsewhere.make()
    expect(await start().accept([{ receipt, consumer: CONSUMER }])).toMatchObject([
      { status: 'refused', refusal: 'receipt.domain' },
    ])
  })
})
