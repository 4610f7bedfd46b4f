import { describe, expect, it } from 'vitest'
import { checkpointLeaf } from '#shared/audit/entries.ts'
import { nameHash, TenantId, type Address } from '#shared/base/ids.ts'
import { createModelChain } from '#test/support/storage/model-chain.ts'
import { createReceiptMaker, groupOf } from '#test/support/hub/receipts.ts'
import { CONSUMER, DOMAIN, settleAll, useLedgerBench } from '#test/support/storage/ledger.ts'

const bench = useLedgerBench()

describe('what a Ledger posts', () => {
  it('is nothing without a chain, and everything for this contract once one is configured', async () => {
    const elsewhere = await createReceiptMaker({ ...DOMAIN, chainId: 1 })
    const [here, there] = [await bench.maker.make(), await elsewhere.make()]
    const waiting = bench.start({ chain: null })
    for (const receipt of [here, there]) {
      const group = groupOf([{ receipt, consumer: CONSUMER }])
      expect(await waiting.accept(group, [])).toMatchObject([{ status: 'pending' }])
    }
    await waiting.tick()
    expect(await waiting.health()).toMatchObject({ isPosting: false, pendingReceipts: 2 })
    const ledger = bench.start()
    await settleAll(bench, ledger)
    expect(await ledger.status([here.id, there.id])).toMatchObject([
      { status: 'settled' },
      { status: 'refused', refusal: 'receipt.domain' },
    ])
  })

  it('[AU6] [L10] has the root over its tenants’ logs, unchanged by a restart and by their growth', async () => {
    const receipt = await bench.maker.make()
    const tenant = nameHash(receipt.receipt.ticket.tenant)
    const head = (size: number) => ({ tenant, size, root: receipt.id })
    const shown = (size: number) => ({ ...head(size), consistency: [] })
    const first = bench.start({ checkpointOf: async () => shown(4) })
    await first.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])
    await first.tick()
    const again = bench.start({ checkpointOf: async () => shown(9) })
    await settleAll(bench, again)
    expect(bench.chain.posted.map(({ logRoot }) => logRoot)).toEqual([checkpointLeaf(head(4))])
    const [settled, ...more] = await again.settledLogs(receipt.receipt.ticket.tenant, [1, 2])
    expect(more).toEqual([])
    expect(settled).toEqual({
      batchId: 1,
      logRoot: checkpointLeaf(head(4)),
      checkpoint: head(4),
      index: 0,
      size: 1,
      proof: [],
    })
    expect(await again.settledLogs(TenantId.parse('other'), [1])).toEqual([])
  })

  it('[L5] leaves out receipts of a hub until it is registered', async () => {
    const ledger = bench.start()
    const strangers = await createReceiptMaker(DOMAIN)
    const [known, unknown] = [await bench.maker.make(), await strangers.make()]
    for (const receipt of [unknown, known])
      await ledger.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])
    await settleAll(bench, ledger)
    expect(await ledger.status([known.id, unknown.id])).toMatchObject([
      { status: 'settled' },
      { status: 'pending' },
    ])
    bench.chain.hubs.add(strangers.hub.publicKey.x)
    await settleAll(bench, ledger)
    expect(await ledger.status([unknown.id])).toMatchObject([{ status: 'settled' }])
  })

  it('[L7] never waits for a consumer without money or without an address', async () => {
    const ledger = bench.start()
    const poor: Address = `0x${'c9'.repeat(20)}`
    const [unpaid, unknown, paid] = [
      await bench.maker.make(),
      await bench.maker.make(),
      await bench.maker.make(),
    ]
    await ledger.accept(groupOf([{ receipt: unknown, consumer: null }]), [])
    const before = await ledger.status([unknown.id])
    expect(before).toMatchObject([{ status: 'pending' }])
    await ledger.accept(groupOf([{ receipt: paid, consumer: CONSUMER }]), [])
    await ledger.accept(groupOf([{ receipt: unpaid, consumer: poor }]), [])
    await settleAll(bench, ledger)
    expect(await ledger.status([unknown.id, unpaid.id, paid.id])).toMatchObject([
      { status: 'settled' },
      { status: 'pending' },
      { status: 'settled' },
    ])
    bench.chain.accounts.set(poor, { balance: 21n, limit: 21n })
    await settleAll(bench, ledger)
    expect(await ledger.status([unpaid.id])).toMatchObject([{ status: 'settled' }])
  })

  it('[L8] counts as settled only under the configured number of blocks', async () => {
    const ledger = bench.start({ confirmations: 3 })
    const receipt = await bench.maker.make()
    await ledger.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])
    await ledger.tick()
    bench.chain.mine()
    await ledger.tick()
    expect((await ledger.health()).batches).toMatchObject([{ batchId: 1, status: 'posted' }])
    expect(await ledger.status([receipt.id])).toMatchObject([{ status: 'pending' }])
    bench.chain.mineEmpty(3)
    await ledger.tick()
    expect(await ledger.status([receipt.id])).toMatchObject([{ status: 'settled' }])
  })

  it('[L9] is nothing on another contract than its first', async () => {
    const first = bench.start()
    await first.accept(groupOf([{ receipt: await bench.maker.make(), consumer: CONSUMER }]), [])
    await settleAll(bench, first)
    const domain = { ...DOMAIN, verifyingContract: `0x${'5f'.repeat(20)}` } as const
    const other = createModelChain(domain)
    other.accounts.set(CONSUMER, { balance: 10_000n, limit: 1_000n })
    const ledger = bench.start({ chain: other })
    await ledger.tick()
    expect(other.poolSize()).toBe(0)
    expect((await ledger.health()).fault).toContain('another chain or contract')
  })

  it('asks for a wake-up only while there is work', async () => {
    const delays: number[] = []
    const ledger = bench.start({ wake: (delayMs) => delays.push(delayMs) })
    await ledger.tick()
    expect(delays).toEqual([])
    await ledger.accept(groupOf([{ receipt: await bench.maker.make(), consumer: CONSUMER }]), [])
    expect(delays).toEqual([1_000])
    await ledger.tick()
    bench.chain.mine()
    await ledger.tick()
    expect(delays.length).toBe(2)
  })

  it('waits longer after each failure of the chain endpoint, and reports the fault', async () => {
    const delays: number[] = []
    const position = () => Promise.reject(new Error('connection refused'))
    const ledger = bench.start({
      chain: { ...bench.chain, position },
      wake: (ms) => delays.push(ms),
    })
    for (let i = 0; i < 9; i += 1) await ledger.tick()
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect((await ledger.health()).fault).not.toBeNull()
  })

  it('[L6] is recognised with its successors when it lands after it was given up', async () => {
    const ledger = bench.start()
    const [first, second] = [await bench.maker.make(), await bench.maker.make({ node: 1 })]
    for (const receipt of [first, second]) {
      await ledger.accept(groupOf([{ receipt, consumer: CONSUMER }]), [])
      await settleAll(bench, ledger)
    }
    const roots = bench.chain.posted.map(({ receiptRoot }) => receiptRoot)
    expect(roots.length).toBe(2)
    // Both blocks are lost. The consumer has no money when their transactions are mined again.
    bench.chain.reorganise(2, true)
    bench.chain.accounts.set(CONSUMER, { balance: 0n, limit: 1_000n })
    await ledger.tick()
    bench.chain.mine()
    await ledger.tick()
    expect(await ledger.status([first.id, second.id])).toMatchObject([
      { status: 'pending' },
      { status: 'pending' },
    ])
    expect((await ledger.health()).batches).toEqual([])
    // Those blocks are lost too. Now there is money, and the old transactions land.
    bench.chain.reorganise(2, true)
    bench.chain.accounts.set(CONSUMER, { balance: 10_000n, limit: 1_000n })
    bench.chain.mine()
    await settleAll(bench, ledger)
    expect(bench.chain.posted.map(({ receiptRoot }) => receiptRoot)).toEqual(roots)
    expect(await ledger.status([first.id, second.id])).toMatchObject([
      { status: 'settled', settlement: { batchId: 1 } },
      { status: 'settled', settlement: { batchId: 2 } },
    ])
  })

  it('[L6] is replaced with a higher fee when it is not mined in time', async () => {
    const ledger = bench.start()
    await ledger.accept(groupOf([{ receipt: await bench.maker.make(), consumer: CONSUMER }]), [])
    await ledger.tick()
    bench.nowMs += 59_000
    await ledger.tick()
    expect(bench.chain.poolSize()).toBe(1)
    const [waiting] = bench.chain.pooled()
    bench.nowMs += 2_000
    await ledger.tick()
    const [replaced] = bench.chain.pooled()
    expect(bench.chain.poolSize()).toBe(1)
    expect(replaced?.nonce).toBe(waiting?.nonce)
    expect(replaced?.maxFeePerGas).toBeGreaterThan(waiting?.maxFeePerGas ?? 0n)
    bench.chain.mine()
    await ledger.tick()
    expect(bench.chain.posted.length).toBe(1)
  })
})
