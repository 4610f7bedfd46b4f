/** Calls to the Ledger by RPC, and its answers. */
import type { z } from 'zod'
import type { EarningsReply, FaultCode } from '#shared/api/network.ts'
import type { TenantCheckpoint } from '#shared/audit/entries.ts'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import type { MicroUsd } from '#shared/receipt/money.ts'
import type { Settlement } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'

export type ReceiptState = 'pending' | 'settled' | 'refused'

export interface AcceptOutcome {
  readonly id: Bytes32
  readonly status: ReceiptState
  /** The rule that refused it; null otherwise. */
  readonly refusal: string | null
}

export interface ReceiptStatus extends AcceptOutcome {
  readonly settlement: Settlement | null
}

/** The earnings of a receipt key. `claimable` is a leaf under the contract's present earnings root. */
export type Earnings = z.infer<typeof EarningsReply>

export interface SettlementBatchSummary {
  readonly batchId: number
  readonly status: 'posting' | 'posted' | 'settled'
  readonly receiptCount: number
  readonly earnedMicroUsd: MicroUsd
  readonly receiptRoot: Bytes32
  readonly transactionHash: Bytes32 | null
  readonly blockNumber: number | null
}

export interface LedgerSummary {
  /** False when no chain is configured: receipts are then kept and not posted. */
  readonly isPosting: boolean
  /** Why nothing can be posted at present; null when all is well. */
  readonly fault: string | null
  readonly faultCode: FaultCode | null
  readonly pendingReceipts: number
  readonly settledReceipts: number
  readonly refusedReceipts: number
  /** Newest first, at most 20. */
  readonly batches: readonly SettlementBatchSummary[]
}

export interface LedgerHealth extends LedgerSummary {
  /** The poster's balance for fees; null without a chain or when it is unknown. */
  readonly posterBalanceWei: string | null
  readonly settledBatches: number
  /** Versions that were mined and reverted. */
  readonly revertedBatches: number
}

/** The state of a tenant's audit log under a settled batch's log root. */
export interface SettledLog {
  readonly batchId: number
  readonly logRoot: Bytes32
  readonly checkpoint: TenantCheckpoint
  /** The checkpoint's place among the batch's checkpoints, from 0, and their number. */
  readonly index: number
  readonly size: number
  /** Sibling hashes from the checkpoint's leaf up. */
  readonly proof: readonly Bytes32[]
}

/** The Ledger's RPC methods. */
export interface LedgerApi {
  /**
   * Takes a hub's receipts in order. Idempotent by id, so callers repeat it until they have the outcomes. A receipt that
   * is not authentic (bytes, id, domain, the hub's signature) is `refused` and not kept.
   *
   * A receipt's consumer pays. Null takes the address of the tenant's newest receipt with one; without any, the receipt
   * stays pending.
   * @param later receipts of whose job the tenant has an earlier one, perhaps through another ledger: kept, not paid
   * @returns one outcome for each receipt, in order
   */
  accept(group: ReceiptGroup, later: readonly Bytes32[]): Promise<AcceptOutcome[]>
  /** Leaves unknown ids out. */
  status(receiptIds: readonly Bytes32[]): Promise<ReceiptStatus[]>
  earnings(key: PublicKey): Promise<Earnings>
  health(): Promise<LedgerHealth>
  /** Leaves out batches that have not settled or that hold no checkpoint of this tenant. */
  settledLogs(tenant: TenantId, batchIds: readonly number[]): Promise<SettledLog[]>
}

/** The refusal of a receipt whose job is paid by another receipt: the job was sent again after its answer was lost. */
export const DUPLICATE_JOB = 'duplicate_job'
