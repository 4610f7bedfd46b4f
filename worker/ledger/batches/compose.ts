/** Chooses the receipts of the next batch: those that their consumers can pay. A consumer without money delays nobody else. */
import type { TenantCheckpoint } from '#shared/audit/entries.ts'
import { invariant } from '#shared/base/errors.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import {
  buildSettlementBatch,
  keyName,
  type SettlementBatch,
  type SettlementBatchInput,
  type WaitingReceipt,
} from '#worker/ledger/intake/settlement-batch.ts'
import type { ConsumerAccount, LedgerChain } from '#worker/ledger/chain/chain.ts'
import type { ReceiptStore } from '#worker/ledger/intake/receipt-store.ts'
import type { Settling } from './settling.ts'
import type { WaitingQueue } from '#worker/ledger/intake/waiting-queue.ts'

/** Receipts in one settlement batch. */
export const BATCH_RECEIPTS = 10_000
/** Policies in one settlement batch. */
const BATCH_POLICIES = 64

/** Time for which receipts of an unregistered hub, or of a consumer without money, are left out. */
const PUT_OFF_MS = 30_000

export interface ComposeDeps {
  readonly chain: Pick<LedgerChain, 'isHubKey' | 'account'>
  readonly queue: WaitingQueue
  readonly receipts: ReceiptStore
  readonly settling: Settling
  /** The newest checkpoint of a tenant's audit log, or the last one known; null when there is none. */
  readonly checkpointOf: (tenant: TenantId) => Promise<TenantCheckpoint | null>
  readonly nowMs: () => number
}

/** @returns null when nothing can be paid at present */
export async function composeSettlementBatch(
  { id, parentRoot }: Pick<SettlementBatchInput, 'id' | 'parentRoot'>,
  deps: ComposeDeps,
): Promise<SettlementBatch | null> {
  const { chain, queue, settling, nowMs } = deps
  for (const hub of queue.hubsToCheck(nowMs())) {
    if (!(await chain.isHubKey(hub))) queue.putOff(keyName(hub), nowMs() + PUT_OFF_MS)
  }
  const chosen = new Choice()
  for (const consumer of queue.consumersToCharge(nowMs())) {
    const account = await chain.account(consumer)
    const room = BATCH_RECEIPTS - chosen.receipts.length
    const taken = chosen.take(queue.receiptsOf(consumer, nowMs(), room), account)
    if (taken === 0) queue.putOff(consumer, nowMs() + PUT_OFF_MS)
  }
  if (chosen.receipts.length === 0) return null
  const policies = readPolicies(chosen.policies, deps.receipts)
  const earnings = settling.earnings()
  const checkpoints = await readCheckpoints(policies, deps)
  return buildSettlementBatch({
    id,
    parentRoot,
    receipts: chosen.receipts,
    policies,
    checkpoints,
    earnings,
  })
}

/** A receipt is in its tenant's log before it comes here, so these checkpoints cover all receipts of the batch. */
async function readCheckpoints(
  policies: ReadonlyMap<Bytes32, CompiledPolicy>,
  { checkpointOf }: ComposeDeps,
): Promise<TenantCheckpoint[]> {
  const tenants = new Set([...policies.values()].map(({ tenant }) => tenant))
  const checkpoints = await Promise.all([...tenants].map((tenant) => checkpointOf(tenant)))
  return checkpoints.filter((checkpoint) => checkpoint !== null)
}

/** The receipts chosen so far, within the bounds of a batch. */
class Choice {
  readonly receipts: WaitingReceipt[] = []
  readonly policies = new Set<Bytes32>()

  /** Takes what one consumer's balance and limit can pay, in order. @returns how many */
  take(waiting: readonly WaitingReceipt[], account: ConsumerAccount): number {
    const { balanceMicroUsd, batchLimitMicroUsd } = account
    let left = balanceMicroUsd < batchLimitMicroUsd ? balanceMicroUsd : batchLimitMicroUsd
    let taken = 0
    for (const receipt of waiting) {
      if (receipt.amountMicroUsd > left || !this.#hasRoomFor(receipt)) continue
      left -= receipt.amountMicroUsd
      this.policies.add(receipt.policyHash)
      this.receipts.push(receipt)
      taken += 1
    }
    return taken
  }

  #hasRoomFor({ policyHash }: WaitingReceipt): boolean {
    return this.policies.has(policyHash) || this.policies.size < BATCH_POLICIES
  }
}

function readPolicies(
  hashes: ReadonlySet<Bytes32>,
  receipts: ReceiptStore,
): Map<Bytes32, CompiledPolicy> {
  const policies = new Map<Bytes32, CompiledPolicy>()
  for (const hash of hashes) {
    const policy = receipts.policy(hash)
    invariant(policy, `policy ${hash} of a receipt is kept`)
    policies.set(hash, policy)
  }
  return policies
}
