/** The Ledger without its runtime: takes receipts, settles them in batches, and reports their state. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { LogProgress } from '#shared/audit/entries.ts'
import { nameHash, type Bytes32, type TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { buildTree, type Tree } from '#shared/proof/tree.ts'
import type { Settlement } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { earningsTree, logTree } from '#worker/ledger/intake/settlement-batch.ts'
import { createLogHeads } from '#worker/ledger/batches/log-heads.ts'
import {
  createSettlementBatchStore,
  type SettlementBatchStore,
  type KeptSettlementBatch,
} from '#worker/ledger/batches/settlement-batch-store.ts'
import type { LedgerChain } from '#worker/ledger/chain/chain.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { openTables } from '#worker/ledger/intake/database.ts'
import { GROUP_RECEIPTS, takeGroup } from '#worker/ledger/intake/intake.ts'
import type {
  SettlementBatchSummary,
  Earnings,
  LedgerApi,
  LedgerHealth,
  ReceiptStatus,
  SettledLog,
} from '#worker/protocols/ledger.ts'
import {
  createReceiptStore,
  type KeptReceipt,
  type ReceiptStore,
} from '#worker/ledger/intake/receipt-store.ts'
import { createSettling } from '#worker/ledger/batches/settling.ts'
import { createTicker, type Ticker } from '#worker/ledger/posting/ticker.ts'
import { createWaitingQueue } from '#worker/ledger/intake/waiting-queue.ts'
import { BATCH_RECEIPTS } from '#worker/ledger/batches/compose.ts'

const SUMMARY_BATCHES = 20
const TREES_KEPT = 4
/** Incoming receipts cause a look at the chain at most once in this time. */
const GLANCE_MS = 60_000

export interface LedgerDeps {
  readonly storage: DurableStorage
  /** Null: receipts are kept and nothing is posted. */
  readonly chain: LedgerChain | null
  readonly nowMs: () => number
  /** Asks for a call of {@link LedgerCore.tick} after this time or earlier. */
  readonly wake: (delayMs: number) => void
  readonly log: Log
  /** Time for which receipts gather before they are batched. */
  readonly batchMs: number
  readonly confirmations: number
  /** The newest state of a tenant's audit log, with proof that it extends that size; null when there is no log. */
  readonly checkpointOf: (tenant: TenantId, since: number) => Promise<LogProgress | null>
}

export interface LedgerCore extends LedgerApi {
  /** Takes the next step towards the chain and asks for the one after. It never rejects; only one runs at a time. */
  tick(): Promise<void>
}

export function createLedgerCore(deps: LedgerDeps): LedgerCore {
  const { storage, chain, nowMs, wake, log, batchMs, confirmations } = deps
  const rows = openTables(storage)
  const receipts = createReceiptStore(rows)
  const queue = createWaitingQueue(rows)
  const batches = createSettlementBatchStore(rows, storage)
  const settling = createSettling(rows, storage)
  const proofs = createProofs((id) => batches.settled(id))
  const checkpointOf = createLogHeads(rows, deps)
  const stores = { receipts, queue, batches, settling }
  const settings = { nowMs, wake, log, batchMs, confirmations }
  const ticker =
    chain === null ? undefined : createTicker({ ...stores, ...settings, chain, checkpointOf })
  if (!queue.isEmpty() || batches.current() !== undefined) wake(batchMs)

  return {
    async accept(group, later) {
      if (group.receipts.length > GROUP_RECEIPTS)
        throw new AppError('too_large', `At most ${GROUP_RECEIPTS} receipts in one group.`)
      const domain = chain?.domain ?? null
      const outcomes = await takeGroup(group, later, { receipts, storage, domain, nowMs })
      if (outcomes.some(({ status }) => status === 'pending')) wake(batchMs)
      // The batch is a minute away, but a fault that would keep it from posting is reported now.
      void ticker?.fault(GLANCE_MS)
      return outcomes
    },

    async status(ids) {
      const kept = new Map(receipts.find(ids).map((each) => [each.id, each]))
      return ids.flatMap((id) => kept.get(id) ?? []).map(withProof)
    },

    async earnings(key) {
      return {
        pendingMicroUsd: receipts.pendingOf(key).toString(),
        settledMicroUsd: settling.earnedBy(key).toString(),
        claimable: claimable(key),
      }
    },

    health: () => readHealth(stores, ticker),

    async settledLogs(tenant, batchIds) {
      return batchIds.slice(0, BATCH_RECEIPTS).flatMap((id) => settledLog(id, tenant) ?? [])
    },

    async tick() {
      await ticker?.run()
    },
  }

  function withProof(kept: KeptReceipt): ReceiptStatus {
    const { id, state, refusal, batchId } = kept
    const isSettled = state === 'settled' && batchId !== null
    return { id, status: state, refusal, settlement: isSettled ? proofs(batchId, id) : null }
  }

  function settledLog(batchId: number, tenant: TenantId): SettledLog | undefined {
    const batch = batches.settled(batchId)
    if (batch === undefined) return undefined
    const checkpoints = batches.checkpoints(batch)
    const index = checkpoints.findIndex((checkpoint) => checkpoint.tenant === nameHash(tenant))
    const checkpoint = checkpoints[index]
    if (checkpoint === undefined) return undefined
    const tree = logTree(checkpoints)
    const { root: logRoot, size } = tree
    return { batchId, logRoot, checkpoint, index, size, proof: tree.proof(index) }
  }

  function claimable(key: PublicKey): Earnings['claimable'] {
    const tree = earningsTree(settling.earnings())
    const index = tree.leafOf(key)
    if (index === undefined) return null
    const cumulativeMicroUsd = settling.earnedBy(key).toString()
    const { root, size } = tree
    return { cumulativeMicroUsd, index, size, proof: tree.proof(index), root }
  }
}

async function readHealth(
  {
    receipts,
    batches,
  }: { readonly receipts: ReceiptStore; readonly batches: SettlementBatchStore },
  ticker: Ticker | undefined,
): Promise<LedgerHealth> {
  const fault = (await ticker?.fault()) ?? null
  const outlook = await ticker?.outlook()
  const { pending, settled, refused } = receipts.counts()
  return {
    isPosting: ticker !== undefined,
    fault: fault?.detail ?? null,
    faultCode: fault?.code ?? null,
    pendingReceipts: pending,
    settledReceipts: settled,
    refusedReceipts: refused,
    batches: batches.newest(SUMMARY_BATCHES).map(toSummary),
    posterBalanceWei: outlook?.balanceWei?.toString() ?? null,
    settledBatches: batches.count('settled'),
    revertedBatches: batches.count('dropped'),
  }
}

/** Builds settlements of receipts, and keeps the trees of the batches that were asked for last. */
function createProofs(settledBatch: (id: number) => KeptSettlementBatch | undefined) {
  const trees = new BoundedMap<
    number,
    { readonly tree: Tree; readonly batch: KeptSettlementBatch }
  >(TREES_KEPT)
  return (batchId: number, id: Bytes32): Settlement | null => {
    const batch = trees.get(batchId)?.batch ?? settledBatch(batchId)
    if (!batch?.transactionHash || batch.blockNumber === null) return null
    const tree = trees.get(batchId)?.tree ?? buildTree(batch.leaves)
    trees.set(batchId, { tree, batch })
    const { receiptRoot, transactionHash, blockNumber } = batch
    const index = batch.leaves.indexOf(id)
    const of = { index, receiptCount: tree.size, proof: tree.proof(index) }
    return { batchId, receiptRoot, ...of, transactionHash, blockNumber }
  }
}

function toSummary(batch: KeptSettlementBatch): SettlementBatchSummary {
  return {
    batchId: batch.id,
    status: batch.state === 'dropped' ? 'posting' : batch.state,
    receiptCount: batch.leaves.length,
    earnedMicroUsd: batch.earnedMicroUsd.toString(),
    receiptRoot: batch.receiptRoot,
    transactionHash: batch.transactionHash,
    blockNumber: batch.blockNumber,
  }
}
