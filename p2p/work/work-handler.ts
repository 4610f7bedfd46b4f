/** The methods that a node implements for the work protocol. */
import type { Bytes32 } from '#shared/base/ids.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import type { Frame } from '#p2p/stream/frames.ts'
import type {
  Hello,
  LoadRequest,
  JobOffer,
  JobResult,
  Standing,
  KeptReceipt,
  Welcome,
} from '#p2p/stream/messages.ts'

export interface WorkRunOptions {
  /** Aborts when the hub cancels, or is gone. */
  readonly signal: AbortSignal
  /** Sends output bytes; resolves when the hub has room for more. The bytes are copied. */
  readonly emit: (bytes: Uint8Array) => Promise<void>
}

export interface LoadOutcome {
  readonly presence: SignedPresence
  readonly error: unknown
}

export interface WorkHandler {
  hello(): Promise<Hello>
  welcomed(welcome: Welcome): void
  /** The hub's view of the node has changed since its welcome. */
  standing?(standing: Standing): void
  /** Signs an anchor's nonce. The place of a node without it cannot be bounded. */
  echo?(frame: Frame, anchorPeerId: string): Promise<Frame>
  /** Runs one job. The code of a thrown error goes to the hub. */
  run(offer: JobOffer, payload: Uint8Array, options: WorkRunOptions): Promise<JobResult>
  /** Loads a model for the hub's jobs, and returns the new presence. A node without it refuses every load. */
  load?(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome>
  /** The hub has stored these receipts; they may be forgotten. */
  acknowledged(ids: readonly Bytes32[]): void
  /** Receipts that no hub has acknowledged; sent after each welcome. */
  pendingReceipts(): Promise<readonly KeptReceipt[]>
}
