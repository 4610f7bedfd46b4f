import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { erc20Abi } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultCode } from '#shared/api/network.ts'
import { createChainView } from '#shared/verify/chain-view.ts'
import {
  connect,
  deploySettlement,
  fundConsumer,
  newPoster,
  PUBLISHED_OWNER_KEY,
  registerHubKey,
  send,
  startAnvil,
  type Chain,
  type Deployment,
  type LocalAccount,
} from '#scripts/stack/chain.ts'
import { claimEarnings } from '#scripts/stack/claim-earnings.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import { silentLog } from '#shared/base/log.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import {
  createLedgerChain,
  type LedgerChain,
  type LedgerChainOptions,
} from '#worker/ledger/chain/chain.ts'
import { createLedgerCore, type LedgerCore } from '#worker/ledger/core.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { until } from '../support/poll.ts'
import { createReceiptMaker, nowOfReceipts, type ReceiptMaker } from '#test/support/hub/receipts.ts'

let dir: string
let chain: Chain
let deployment: Deployment
let poster: LocalAccount
let consumer: LocalAccount
let ledgerChain: LedgerChain
let maker: ReceiptMaker
let storage: TestStorage
let ledger: LedgerCore

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-ledger-'))
  chain = await startAnvil({ dir, log: silentLog })
  const access = { rpc: chain.rpc, dir }
  deployment = await deploySettlement(access)
  poster = await newPoster(access, deployment)
  consumer = await fundConsumer(access, deployment, {
    balanceMicroUsd: 1_000_000n,
    batchLimitMicroUsd: 1_000n,
  })
  const { settlement, chainId } = deployment
  const posterKey = poster.privateKey
  ledgerChain = createLedgerChain({ rpc: chain.rpc, chainId, settlement, posterKey })
  maker = await createReceiptMaker({ chainId, verifyingContract: settlement }, 2)
  await registerHubKey(access, deployment, maker.hub.publicKey)
  storage = createSqliteStorage()
  ledger = startLedger()
})
afterAll(async () => {
  await chain?.close()
  storage?.close()
  await rm(dir, { recursive: true, force: true })
})

/** The same storage, a new process: what a restart of the Durable Object is. */
function startLedger(through: LedgerChain = ledgerChain, from = storage): LedgerCore {
  return createLedgerCore({
    storage: from,
    chain: through,
    nowMs: nowOfReceipts,
    wake: () => {},
    log: silentLog,
    batchMs: 10,
    confirmations: 0,
    checkpointOf: async () => null,
  })
}

async function tickUntilSettled(id: `0x${string}`): Promise<void> {
  await until('the receipt is settled', async () => {
    await ledger.tick()
    return (await ledger.status([id]))[0]?.status === 'settled'
  })
}

describe('a Ledger with a real chain', () => {
  it('settles receipts in one batch, whose root, charge and proofs the chain and the verifier confirm', async () => {
    const receipts = await Promise.all(
      [0, 1, 0].map((node) => maker.make({ node, units: 3, priceMicroUsd: 7 })),
    )
    await ledger.accept(receipts.map((receipt) => ({ receipt, consumer: consumer.address })))
    const [first] = receipts
    if (first === undefined) throw new Error('no receipt')
    await tickUntilSettled(first.id)
    const statuses = await ledger.status(receipts.map(({ id }) => id))
    expect(new Set(statuses.map(({ settlement }) => settlement?.batchId))).toEqual(new Set([1]))
    const { balanceMicroUsd } = await ledgerChain.account(consumer.address)
    expect(balanceMicroUsd).toBe(1_000_000n - 63n)
    const view = await createChainView(chain.rpc, deployment.settlement)
    for (const [i, receipt] of receipts.entries()) {
      const { status = 'pending', settlement = null } = statuses[i] ?? {}
      const document = { receipt, salt: null, status, refusal: null, settlement, settlesByMs: null }
      const verification = await verifyReceipt(document, { chain: view, nowMs: nowOfReceipts() })
      expect(verification.lines.filter(({ result }) => result !== 'passed')).toEqual([])
      const { batchId = 0, proof = [] } = settlement ?? {}
      const isSettled = await connect(chain.rpc).reader.readContract({
        address: deployment.settlement,
        abi: SETTLEMENT_ABI,
        functionName: 'isSettled',
        args: [BigInt(batchId), receipt.id, proof],
      })
      expect(isSettled).toBe(true)
    }
  })

  it('[L7] takes from a consumer at most its own limit in one batch, and the rest in the next', async () => {
    const receipts = await Promise.all(
      [600, 600].map((units) => maker.make({ units, priceMicroUsd: 1 })),
    )
    await ledger.accept(receipts.map((receipt) => ({ receipt, consumer: consumer.address })))
    for (const { id } of receipts) await tickUntilSettled(id)
    const statuses = await ledger.status(receipts.map(({ id }) => id))
    const batchIds = statuses.map(({ settlement }) => settlement?.batchId ?? 0)
    expect(batchIds[1]).toBe((batchIds[0] ?? 0) + 1)
  })

  it('[L6] finds a batch that landed while it was dead, and posts it only once', async () => {
    const receipt = await maker.make({ units: 5, priceMicroUsd: 1 })
    await ledger.accept([{ receipt, consumer: consumer.address }])
    const before = await ledgerChain.position()
    const dying = startLedger({
      ...ledgerChain,
      async broadcast(transaction) {
        await ledgerChain.broadcast(transaction)
        throw new Error('killed after the send')
      },
    })
    await dying.tick()
    ledger = startLedger()
    await tickUntilSettled(receipt.id)
    const after = await ledgerChain.position()
    expect(after.nextBatchId).toBe(before.nextBatchId + 1)
    expect(after.transactionCount).toBe(before.transactionCount + 1)
  })

  it('[S8] pays what a key has earned to the address it signed, and a second claim of the leaf nothing', async () => {
    const [signer] = maker.nodes
    if (signer === undefined) throw new Error('no node')
    const { claimable, settledMicroUsd } = await ledger.earnings(signer.publicKey)
    if (claimable === null) throw new Error('nothing to claim')
    expect(claimable.cumulativeMicroUsd).toBe(settledMicroUsd)
    const to = privateKeyToAccount(generatePrivateKey()).address
    const { rpc } = chain
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

  it('[L9] posts nothing when its storage is not the one that posted the batches before', async () => {
    const fresh = createSqliteStorage()
    const lost = createLedgerCore({
      storage: fresh,
      chain: ledgerChain,
      nowMs: nowOfReceipts,
      wake: () => {},
      log: silentLog,
      batchMs: 10,
      confirmations: 0,
      checkpointOf: async () => null,
    })
    await lost.accept([{ receipt: await maker.make(), consumer: consumer.address }])
    const before = await ledgerChain.position()
    await lost.tick()
    expect(await ledgerChain.position()).toEqual(before)
    expect((await lost.health()).fault).toContain('this ledger')
    fresh.close()
  })

  it.each<[string, FaultCode, () => Promise<Partial<LedgerChainOptions>>]>([
    ['an endpoint that is not there', 'chain.unreachable', async () => ({ rpc: DEAD_RPC })],
    ['an endpoint of another chain', 'chain.other', async () => ({ chainId: 1 })],
    [
      'a contract that is not there',
      'contract.missing',
      async () => ({ settlement: `0x${'5e'.repeat(20)}` }),
    ],
    [
      'a contract that is another one',
      'poster.unknown',
      async () => ({ settlement: deployment.testUsd }),
    ],
    [
      'a poster that the contract does not know',
      'poster.unknown',
      async () => ({ posterKey: generatePrivateKey() }),
    ],
    ['a poster without money', 'poster.broke', async () => ({ posterKey: await brokePoster() })],
  ])('names %s, in words that are its own', async (_, faultCode, change) => {
    const { chainId, settlement } = deployment
    const given = { rpc: chain.rpc, chainId, settlement, posterKey: poster.privateKey }
    const fresh = createSqliteStorage()
    const through = createLedgerChain({ ...given, ...(await change()) })
    const failing = startLedger(through, fresh)
    await failing.accept([{ receipt: await maker.make(), consumer: consumer.address }])
    await failing.tick()
    const { fault, faultCode: told } = await failing.health()
    expect(told).toBe(faultCode)
    expect(fault).not.toContain('on our side')
    fresh.close()
  })
})

/** Nobody listens there. */
const DEAD_RPC = 'http://127.0.0.1:9'

/** One that the contract knows and nobody gave money. */
async function brokePoster(): Promise<`0x${string}`> {
  const key = generatePrivateKey()
  await send(chain.rpc, privateKeyToAccount(PUBLISHED_OWNER_KEY), {
    address: deployment.settlement,
    abi: SETTLEMENT_ABI,
    functionName: 'setPoster',
    args: [privateKeyToAccount(key).address, true],
  })
  return key
}
