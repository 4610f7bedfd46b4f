import { erc20Abi } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultCode } from '#shared/api/network.ts'
import { createChainView } from '#shared/verify/chain-view.ts'
import { connect, PUBLISHED_OWNER_KEY, send } from '#scripts/stack/chain.ts'
import { claimEarnings } from '#scripts/stack/claim-earnings.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import { createLedgerChain, type LedgerChainOptions } from '#worker/ledger/chain/chain.ts'
import type { LedgerCore } from '#worker/ledger/core.ts'
import { useSettlement } from '#test/support/storage/use-settlement.ts'
import { openLedger } from '#test/support/storage/ledger.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { receiptArguments } from '#test/support/storage/receipt-arguments.ts'
import { until } from '../support/poll.ts'
import { groupOf, nowOfReceipts } from '#test/support/hub/receipts.ts'

const on = useSettlement({ nodes: 2, batchLimitMicroUsd: 1_000n })
let storage: TestStorage
let ledger: LedgerCore
beforeAll(() => {
  storage = createSqliteStorage()
  ledger = startLedger()
})
afterAll(() => storage?.close())

/** Starts a core on existing storage, as a restart of the Durable Object does. */
function startLedger(chain = on.ledgerChain, from = storage): LedgerCore {
  return openLedger({ storage: from, chain, nowMs: nowOfReceipts, batchMs: 10 })
}

async function tickUntilSettled(id: `0x${string}`): Promise<void> {
  await until('the receipt is settled', async () => {
    await ledger.tick()
    return (await ledger.status([id]))[0]?.status === 'settled'
  })
}

describe('a Ledger with a real chain', () => {
  it('settles receipts in one batch, whose root, charge and proofs the chain and the verifier confirm', async () => {
    const receipts = await on.maker.makeAll(
      [0, 1, 0].map((node) => ({ node, units: 3, priceMicroUsd: 7 })),
    )
    await ledger.accept(
      groupOf(receipts.map((receipt) => ({ receipt, consumer: on.consumer.address }))),
      [],
    )
    const [first] = receipts
    if (first === undefined) throw new Error('no receipt')
    await tickUntilSettled(first.id)
    const statuses = await ledger.status(receipts.map(({ id }) => id))
    expect(new Set(statuses.map(({ settlement }) => settlement?.batchId))).toEqual(new Set([1]))
    const { balanceMicroUsd } = await on.ledgerChain.account(on.consumer.address)
    expect(balanceMicroUsd).toBe(1_000_000n - 63n)
    const view = await createChainView(on.rpc, on.deployment.settlement)
    for (const [i, receipt] of receipts.entries()) {
      const { status = 'pending', settlement = null } = statuses[i] ?? {}
      const document = { receipt, salt: null, status, refusal: null, settlement, settlesByMs: null }
      const verification = await verifyReceipt(document, { chain: view, nowMs: nowOfReceipts() })
      expect(verification.lines.filter(({ result }) => result !== 'passed')).toEqual([])
      if (settlement === null) throw new Error('no settlement')
      const { batchId, index, receiptCount, proof: path } = settlement
      const isSettled = await connect(on.rpc).reader.readContract({
        address: on.deployment.settlement,
        abi: SETTLEMENT_ABI,
        functionName: 'isSettled',
        args: [
          BigInt(batchId),
          receiptArguments(receipt.receipt),
          { index: BigInt(index), size: BigInt(receiptCount), path },
        ],
      })
      expect(isSettled).toBe(true)
    }
  })

  it('[L7] takes from a consumer at most its own limit in one batch, and the rest in the next', async () => {
    const receipts = await on.maker.makeAll(
      [600, 600].map((units) => ({ units, priceMicroUsd: 1 })),
    )
    await ledger.accept(
      groupOf(receipts.map((receipt) => ({ receipt, consumer: on.consumer.address }))),
      [],
    )
    for (const { id } of receipts) await tickUntilSettled(id)
    const statuses = await ledger.status(receipts.map(({ id }) => id))
    const batchIds = statuses.map(({ settlement }) => settlement?.batchId ?? 0)
    expect(batchIds[1]).toBe((batchIds[0] ?? 0) + 1)
  })

  it('[L6] finds a batch that landed while it was dead, and posts it only once', async () => {
    const receipt = await on.maker.make({ units: 5, priceMicroUsd: 1 })
    await ledger.accept(groupOf([{ receipt, consumer: on.consumer.address }]), [])
    const before = await on.ledgerChain.position()
    const dying = startLedger({
      ...on.ledgerChain,
      async broadcast(transaction) {
        await on.ledgerChain.broadcast(transaction)
        throw new Error('killed after the send')
      },
    })
    await dying.tick()
    ledger = startLedger()
    await tickUntilSettled(receipt.id)
    const after = await on.ledgerChain.position()
    expect(after.nextBatchId).toBe(before.nextBatchId + 1)
    expect(after.transactionCount).toBe(before.transactionCount + 1)
  })

  it('[S8] pays what a key has earned to the address it signed, and a second claim of the leaf nothing', async () => {
    const [signer] = on.maker.nodes
    if (signer === undefined) throw new Error('no node')
    const { claimable, settledMicroUsd } = await ledger.earnings(signer.publicKey)
    if (claimable === null) throw new Error('nothing to claim')
    expect(claimable.cumulativeMicroUsd).toBe(settledMicroUsd)
    const to = privateKeyToAccount(generatePrivateKey()).address
    const { rpc, deployment } = on
    const { settlement, testUsd } = deployment
    const options = { rpc, settlement, signer, claimable, to, senderKey: PUBLISHED_OWNER_KEY }
    expect((await claimEarnings(options)).paidMicroUsd).toBe(BigInt(settledMicroUsd))
    await expect(claimEarnings(options)).rejects.toThrow(/AlreadyPaid/)
    const balance = await connect(rpc).reader.readContract({
      address: testUsd,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [to],
    })
    expect(balance).toBe(BigInt(settledMicroUsd))
  })

  it('[L9] posts nothing when another storage posted the earlier batches', async () => {
    const fresh = createSqliteStorage()
    const lost = startLedger(on.ledgerChain, fresh)
    await lost.accept(
      groupOf([{ receipt: await on.maker.make(), consumer: on.consumer.address }]),
      [],
    )
    const before = await on.ledgerChain.position()
    await lost.tick()
    expect(await on.ledgerChain.position()).toEqual(before)
    expect((await lost.health()).fault).toContain('this ledger')
    fresh.close()
  })

  it.each<[string, FaultCode, () => Promise<Partial<LedgerChainOptions>>]>([
    ['no endpoint', 'chain.unreachable', async () => ({ rpc: DEAD_RPC })],
    ['another chain', 'chain.other', async () => ({ chainId: 1 })],
    ['no contract', 'contract.missing', async () => ({ settlement: `0x${'5e'.repeat(20)}` })],
    ['another contract', 'poster.unknown', async () => ({ settlement: on.deployment.testUsd })],
    ['unknown poster', 'poster.unknown', async () => ({ posterKey: generatePrivateKey() })],
    ['poster without money', 'poster.broke', async () => ({ posterKey: await brokePoster() })],
  ])('names the fault: %s', async (_, faultCode, change) => {
    const { rpc, poster, deployment } = on
    const { chainId, settlement } = deployment
    const given = { rpc, chainId, settlement, posterKey: poster.privateKey }
    const fresh = createSqliteStorage()
    const through = createLedgerChain({ ...given, ...(await change()) })
    const failing = startLedger(through, fresh)
    await failing.accept(
      groupOf([{ receipt: await on.maker.make(), consumer: on.consumer.address }]),
      [],
    )
    await failing.tick()
    const { fault, faultCode: told } = await failing.health()
    expect(told).toBe(faultCode)
    expect(fault).not.toContain('on our side')
    fresh.close()
  })
})

/** Nobody listens there. */
const DEAD_RPC = 'http://127.0.0.1:9'

/** A poster that the contract knows, without money for gas. */
async function brokePoster(): Promise<`0x${string}`> {
  const key = generatePrivateKey()
  await send(on.rpc, privateKeyToAccount(PUBLISHED_OWNER_KEY), {
    address: on.deployment.settlement,
    abi: SETTLEMENT_ABI,
    functionName: 'setPoster',
    args: [privateKeyToAccount(key).address, true],
  })
  return key
}
