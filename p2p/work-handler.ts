/** What a node brings to the work protocol. */
import type { Bytes32 } from '#shared/ids.ts'
import type { Hello, JobOffer, JobResult, StoredReceipt, Welcome } from './messages.ts'

export interface WorkRunOptions {
  /** Aborts when the hub cancels, or is gone. */
  readonly signal: AbortSignal
  /** Sends output bytes; resolves when the hub has room for more. The bytes are copied. */
  readonly emit: (bytes: Uint8Array) => Promise<void>
}

/** What a node does, whatever carries it. */
export interface WorkHandler {
  hello(): Promise<Hello>
  welcomed(welcome: Welcome): void
  /** Runs one job; what it throws goes to the hub as its code. */
  run(offer: JobOffer, payload: Uint8Array, options: WorkRunOptions): Promise<JobResult>
  /** The hub holds these receipts durably; they may be forgotten. */
  acknowledged(ids: readonly Bytes32[]): void
  /** Receipts that no hub has acknowledged; sent after each welcome. */
  pendingReceipts(): Promise<readonly StoredReceipt[]>
}
