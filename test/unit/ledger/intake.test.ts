import { describe, expect, it } from 'vitest'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { countryBit } from '#shared/law/region.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createReceiptMaker, groupOf, type ReceiptWish } from '#test/support/hub/receipts.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { CONSUMER, DOMAIN, settleAll, useLedgerBench } from '#test/support/storage/ledger.ts'

const LATER_MS = 1_800_007_200_000
const bench = useLedgerBench()

describe('what a Ledger takes', () => {
  it('is not delayed by a receipt beside it that makes the checks throw', async () => {
    const ledger = bench.start()
    const [bad, good] = await bench.maker.makeAll([{}, {}])
    if (!bad || !good) throw new Error('no receipts')
    const group = groupOf([bad, good].map((receipt) => ({ receipt, consumer: CONSUMER })))
    const [first, ...others] = group.receipts
    if (first === undefined) throw new Error('no receipt')
    const poison = { ...first, receipt: first.receipt.slice(1) }
    const outcomes = await ledger.accept({ ...group, receipts: [poison, ...others] }, [])
    expect(outcomes).toMatchObject([
      { status: 'refused', refusal: 'receipt.malformed' },
      { id: good.id, status: 'pending' },
    ])
  })

  it('[L1] is taken once, however often it comes', async () => {
    const ledger = bench.start()
    const entry = { receipt: await bench.maker.make(), consumer: CONSUMER }
    const first = await ledger.accept(groupOf([entry]), [])
    expect(first).toEqual([{ id: entry.receipt.id, status: 'pending', refusal: null }])
    await ledger.accept(groupOf([entry, entry]), [])
    await settleAll(bench, ledger)
    expect(await ledger.accept(groupOf([entry]), [])).toMatchObject([{ status: 'settled' }])
    await settleAll(bench, ledger)
    expect(bench.chain.posted.map(({ receiptCount }) => receiptCount)).toEqual([1])
  })

  it('[L3] is paid once per job: a later attempt of the same job is refused', async () => {
    const ledger = bench.start()
    const first = await bench.maker.make({ attempt: 2 })
    const { jobId } = first.receipt.ticket
    const late = await bench.maker.make({ jobId, attempt: 1, node: 1 })
    await ledger.accept(groupOf([{ receipt: first, consumer: CONSUMER }]), [])
    const [outcome] = await ledger.accept(groupOf([{ receipt: late, consumer: CONSUMER }]), [])
    expect(outcome).toEqual({ id: late.id, status: 'refused', refusal: 'duplicate_job' })
    await settleAll(bench, ledger)
    expect(await ledger.status([first.id, late.id])).toMatchObject([
      { status: 'settled' },
      { status: 'refused', refusal: 'duplicate_job', settlement: null },
    ])
    const [, other] = bench.maker.nodes
    expect(await ledger.earnings(other?.publicKey ?? { x: '0x', y: '0x' })).toEqual({
      pendingMicroUsd: '0',
      settledMicroUsd: '0',
      claimable: null,
    })
  })

  it('[L3] leaves the job payable when an earlier attempt was refused for its place', async () => {
    const ledger = bench.start()
    const outside = await bench.maker.make({ place: { country: countryBit('US') } })
    const { jobId } = outside.receipt.ticket
    const inside = await bench.maker.make({ jobId, attempt: 2 })
    const entries = [outside, inside].map((receipt) => ({ receipt, consumer: CONSUMER }))
    expect(await ledger.accept(groupOf(entries), [])).toMatchObject([
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
      const ledger = bench.start()
      const receipt = await bench.maker.make(wish)
      expect(await ledger.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])).toEqual([
        { id: receipt.id, status: 'refused', refusal: rule },
      ])
      await settleAll(bench, ledger)
      expect(bench.chain.posted).toEqual([])
      expect(await ledger.status([receipt.id])).toMatchObject([
        { status: 'refused', refusal: rule },
      ])
    },
  )

  it('[L2] is not kept when it is forged, so that the true receipt is still accepted', async () => {
    const ledger = bench.start()
    const receipt = await bench.maker.make()
    const stranger = await bench.maker.make()
    const forged = { ...receipt, hubSignature: stranger.hubSignature }
    expect(await ledger.accept(groupOf([{ receipt: forged, consumer: CONSUMER }]), [])).toEqual([
      { id: receipt.id, status: 'refused', refusal: 'hub.signature' },
    ])
    expect(await ledger.status([receipt.id])).toEqual([])
    expect(await ledger.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])).toMatchObject([
      { status: 'pending' },
    ])
  })

  it('[L2] is not kept when it is for another contract', async () => {
    const elsewhere = await createReceiptMaker({ ...DOMAIN, chainId: 1 })
    const receipt = await elsewhere.make()
    expect(
      await bench.start().accept(groupOf([{ receipt, consumer: CONSUMER }]), []),
    ).toMatchObject([{ status: 'refused', refusal: 'receipt.domain' }])
  })
})
