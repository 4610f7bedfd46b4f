/** What a verifier holds true before it looks at a document. */
import type { LogHead } from '#shared/audit/checkpoint.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { CountrySet } from '#shared/law/region.ts'
import type { PublicKey } from '#shared/base/signature.ts'
import type { ChainAccess, ChainView, NoChain, UnreadChain } from './chain-view.ts'

export interface ReceiptTrust {
  readonly chain: ChainAccess
  /** Whether a simulated place is accepted, as in development. @default false */
  readonly allowSimulated?: boolean
  /** Whether a place that its node only declared, and nobody saw, is accepted. @default false */
  readonly allowUnseen?: boolean
  /** The verifier's clock. @default the machine's */
  readonly nowMs?: number
}

export interface EvidenceTrust {
  readonly chain: Pick<ChainView, 'isHubKey'> | UnreadChain | NoChain
  /** Keys whose attestations count; null where the verifier was told none, and cannot say. */
  readonly attesters: readonly PublicKey[] | null
}

export interface Within {
  readonly names: readonly string[]
  readonly countries: CountrySet
}

export interface BundleTrust extends ReceiptTrust, Pick<EvidenceTrust, 'attesters'> {
  /** Ed25519 public keys, one of which signed the checkpoint; null where the deployment shows none. */
  readonly logKeys: readonly Bytes32[] | null
  /** Heads of the log that were seen before: this one has to go on from them. */
  readonly seenHeads?: readonly LogHead[]
  /** Where every job has to have been, in the asker's words and as countries. */
  readonly within?: Within | undefined
  /** Whether what is missing is accepted, and the verdict says so. @default false */
  readonly allowGaps?: boolean | undefined
}
