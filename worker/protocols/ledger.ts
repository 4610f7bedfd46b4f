/** What the other parts of the Worker say to the Ledger by RPC: plain JSON both ways. */
import type { FaultCode } from '#shared/api/network.ts'
import type { TenantCheckpoint } from '#shared/audit/entries.ts'
import type { Address, Bytes32, TenantId } from '#shared/base/ids.ts'
import type { MicroUsd } from '#shared/receipt/money.ts'
import type { Settlement, SignedReceipt } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/base/signature.ts'

/** A receipt that a hub countersigned, and who pays for it. */
export interface LedgerEntry {
  readonly receipt: SignedReceipt
  /**
   * Who pays: the tenant's address in the contract. Null takes the one of the tenant's newest receipt that had one;
   * while there is none the receipt stays pending.
   */
  readonly consumer: Address | null
  /** The tenant has an earlier receipt of its job, perhaps through another hub and ledger: it is kept and not paid. */
  readonly isLater?: boolean
}

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

/** What a receipt key has earned. `claimable` is null until something of it is on the chain. */
export interface Earnings {
  readonly pendingMicroUsd: MicroUsd
  readonly settledMicroUsd: MicroUsd
  readonly claimable: Claimable | null
}

/** The earnings leaf under the contract's present earnings root. */
export interface Claimable {
  readonly cumulativeMicroUsd: MicroUsd
  readonly proof: readonly Bytes32[]
  readonly root: Bytes32
}

export interface BatchSummary {
  readonly batchId: number
  readonly status: 'posting' | 'posted' | 'settled'
  readonly receiptCount: number
  readonly earnedMicroUsd: MicroUsd
  readonly receiptRoot: Bytes32
  readonly transactionHash: Bytes32 | null
  readonly blockNumber: number | null
}

export interface LedgerSummary {
  /** False while the chain is not configured: receipts are kept and nothing is posted. */
  readonly isPosting: boolean
  /** Why nothing can be posted at present, in words; null when all is well. */
  readonly fault: string | null
  /** The same as one of a few words; null when all is well. */
  readonly faultCode: FaultCode | null
  readonly pendingReceipts: number
  readonly settledReceipts: number
  readonly refusedReceipts: number
  /** Newest first, at most 20. */
  readonly batches: readonly BatchSummary[]
}

/** For those who watch over it. */
export interface LedgerHealth extends LedgerSummary {
  /** What the poster has for fees, in wei; null without a chain, or when nobody could say. */
  readonly posterBalanceWei: string | null
  readonly settledBatches: number
  /** Versions that were mined and reverted. */
  readonly revertedBatches: number
}

/** Where a tenant's audit log stands under a settled batch's log root. */
export interface SettledLog {
  readonly batchId: number
  readonly logRoot: Bytes32
  readonly checkpoint: TenantCheckpoint
  /** Sibling hashes from the checkpoint's leaf up. */
  readonly proof: readonly Bytes32[]
}

/** The Ledger's RPC methods. */
export interface LedgerApi {
  /**
   * Takes receipts in order; idempotent by (job, attempt), so the caller repeats until it has the outcomes.
   * A receipt that is not authentic (id, domain, signatures) is answered `refused` and not kept.
   */
  accept(entries: readonly LedgerEntry[]): Promise<AcceptOutcome[]>
  /** Unknown ids are left out. */
  status(receiptIds: readonly Bytes32[]): Promise<ReceiptStatus[]>
  earnings(key: PublicKey): Promise<Earnings>
  health(): Promise<LedgerHealth>
  /** Batches that have not settled, or that hold none of this tenant's checkpoints, are left out. */
  settledLogs(tenant: TenantId, batchIds: readonly number[]): Promise<SettledLog[]>
}

/** A receipt of a job that another receipt is paid for: of one that was sent again because its answer was lost. */
export const DUPLICATE_JOB = 'duplicate_job'
