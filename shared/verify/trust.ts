/** Keys and facts that a verifier trusts before it reads a document. */
import type { LogHead } from '#shared/audit/checkpoint.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { CountrySet } from '#shared/law/region.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { ChainAccess, ChainView, NoChain, UnreadChain } from './chain-view.ts'

export interface ReceiptTrust {
  readonly chain: ChainAccess
  /** Accepts simulated places, as in development. @default false */
  readonly allowSimulated?: boolean
  /** Accepts places that a node only declared and nobody saw. @default false */
  readonly allowUnseen?: boolean
  /** The verifier's clock. @default the machine's */
  readonly nowMs?: number
}

export interface EvidenceTrust {
  readonly chain: Pick<ChainView, 'isHubKey'> | UnreadChain | NoChain
  /** Keys whose attestations count; null where the verifier was told none. */
  readonly attesters: readonly PublicKey[] | null
}

export interface Within {
  readonly names: readonly string[]
  readonly countries: CountrySet
}

export interface BundleTrust extends ReceiptTrust, Pick<EvidenceTrust, 'attesters'> {
  /** Ed25519 public keys, one of which must have signed the checkpoint; null where the deployment shows none. */
  readonly logKeys: readonly Bytes32[] | null
  /** Earlier heads of the log, which this one must continue. */
  readonly seenHeads?: readonly LogHead[]
  /** Where every job must have run: as the user wrote it, and as countries. */
  readonly within?: Within | undefined
  /** Accepts missing parts; the verdict then says so. @default false */
  readonly allowGaps?: boolean | undefined
}
