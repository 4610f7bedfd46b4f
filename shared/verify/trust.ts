/** What a verifier holds true before it looks at a document, and how much it asks of one. */
import type { Bytes32 } from '../ids.ts'
import type { PublicKey } from '../signature.ts'
import type { ChainView, UnreadChain } from './chain-view.ts'

export interface ReceiptTrust {
  readonly chain: ChainView | UnreadChain
  /** Whether a simulated place is accepted, as in development. @default false */
  readonly allowSimulated?: boolean
  /** Whether a place that its node only declared, and nobody saw, is accepted. @default false */
  readonly allowUnseen?: boolean
  /** What a job comes to that has not settled, or whose detail is erased: no proof yet, or none any more. @default 'failed' */
  readonly incomplete?: 'failed' | 'open'
}

export interface EvidenceTrust {
  readonly chain: Pick<ChainView, 'isHubKey'> | UnreadChain
  /** Keys whose attestations count; null where the verifier was told none, and cannot say. */
  readonly attesters: readonly PublicKey[] | null
}

export interface BundleTrust extends ReceiptTrust, Pick<EvidenceTrust, 'attesters'> {
  /** Ed25519 public keys, one of which signed the checkpoint; null where the deployment shows none. */
  readonly logKeys: readonly Bytes32[] | null
}

/** An auditor's: nothing that it would leave open is missing. */
export interface WholeTrust extends BundleTrust {
  readonly chain: ChainView
  readonly logKeys: readonly Bytes32[]
  readonly attesters: readonly PublicKey[]
}
