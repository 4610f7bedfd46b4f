/** Evidence of one connected node's place, and the hub's conclusion from it. */
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import {
  placeOf,
  type Backing,
  type EvidenceRecord,
  type PlaceObservation,
  type SignedAttestation,
  type SignedEcho,
} from '#shared/place/evidence.ts'
import type { NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Place } from '#shared/receipt/receipt.ts'

/** The part that tickets and the filter need. */
export interface MemberEvidence {
  /** The current conclusion, drawn anew when it has expired. */
  place(): Place
  record(): EvidenceRecord | null
  /** Adds an anchor's measurement; its signatures have been checked. */
  addEcho?(echo: SignedEcho): void
  /** Sets or clears an operator's statement. */
  attest?(attestation: SignedAttestation | null): void
}

export interface EvidenceKeeper extends MemberEvidence {
  record(): EvidenceRecord
  /** Why the node gets no work; null if its place is no reason. */
  quarantine(): string | null
  addEcho(echo: SignedEcho): void
  attest(attestation: SignedAttestation | null): void
}

export interface EvidenceKeeperOptions extends Backing {
  readonly nodeId: NodeId
  readonly hub: string
  readonly claim: string
  readonly observation: PlaceObservation
  /** Echoes from earlier visits. */
  readonly echoes: readonly SignedEcho[]
  readonly attestation: SignedAttestation | null
  readonly now: () => number
  readonly onChange: () => void
}

const QUARANTINE_CHARS = 512

export function createEvidenceKeeper(options: EvidenceKeeperOptions): EvidenceKeeper {
  const { now, onChange } = options
  let { attestation } = options
  let echoes = [...options.echoes]
  let record = concludeEvidence({ ...options, echoes, attestation }, now())
  let place = placeOf(record, options)

  const conclude = () => {
    const before = record
    record = concludeEvidence({ ...options, echoes, attestation }, now())
    place = placeOf(record, options)
    // Forgets what no longer counts: the record holds the best echo of each anchor.
    echoes = [...record.echoes]
    if (differs(before, record)) onChange()
  }
  const current = () => {
    if (record.expiresAtMs <= now()) conclude()
    return record
  }
  return {
    record: current,
    place() {
      current()
      return place
    },
    quarantine() {
      const { class: verdict, reasons } = current()
      return verdict === 'contradicted'
        ? (reasons[0] ?? 'contradicted').slice(0, QUARANTINE_CHARS)
        : null
    },
    addEcho(echo) {
      // Keeps an anchor's older measurement beside the newer one until it expires.
      echoes = [...echoes, echo].slice(-2 * LIMITS.evidenceAnchors)
      conclude()
    },
    attest(next) {
      attestation = next
      conclude()
    },
  }
}

function differs(a: EvidenceRecord, b: EvidenceRecord): boolean {
  return (
    a.class !== b.class ||
    a.possible !== b.possible ||
    a.relaySuspected !== b.relaySuspected ||
    a.echoes.length !== b.echoes.length
  )
}
