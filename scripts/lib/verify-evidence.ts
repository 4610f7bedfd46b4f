/** Checks a record of evidence: that it is the one the ticket names, that its words are signed, and that it comes to the class it says. */
import { checkSignedEcho } from '#p2p/echo.ts'
import { canonicalJson } from '#shared/canonical-json.ts'
import { concludeEvidence } from '#shared/conclude-evidence.ts'
import { evidenceHash, isAttestedBy, placeOf, type EvidenceRecord } from '#shared/evidence.ts'
import { LIMITS } from '#shared/limits.ts'
import { NO_EVIDENCE, type SignedReceipt } from '#shared/receipt.ts'
import type { PublicKey } from '#shared/signature.ts'
import type { ChainView } from '#scripts/lib/chain-view.ts'
import type { VerificationLine } from '#scripts/lib/verify-receipt.ts'

export interface EvidenceTrust {
  readonly chain: Pick<ChainView, 'isHubKey'>
  /** Keys whose attestations count. */
  readonly attesters: readonly PublicKey[]
}

export async function verifyEvidence(
  { receipt }: SignedReceipt,
  record: EvidenceRecord | null,
  trust: EvidenceTrust,
): Promise<VerificationLine[]> {
  const { place, nodeId, issuedAtMs } = receipt.ticket
  if (record === null) {
    if (place.evidenceHash !== NO_EVIDENCE) return [line('evidence.record', false, 'it is missing')]
    // These classes are nothing without what they were concluded from.
    const isProof = place.evidence === 'bounded' || place.evidence === 'attested'
    return [line('evidence.record', !isProof, `the ticket names none for ${place.evidence}`)]
  }
  const hash = evidenceHash(record)
  const again = concludeEvidence(record, record.concludedAtMs)
  const isSame = canonicalJson(again) === canonicalJson(record)
  const isPlace = canonicalJson(placeOf(record, place.trust)) === canonicalJson(place)
  const isFresh =
    record.concludedAtMs <= issuedAtMs + LIMITS.clockSkewMs && issuedAtMs <= record.expiresAtMs
  return [
    line('evidence.record', hash === place.evidenceHash, `record ${hash}`),
    line('evidence.node', record.nodeId === nodeId, `about node ${record.nodeId}`),
    line('evidence.conclusion', isSame && isPlace, `concluded again: ${again.class}`),
    line(
      'evidence.fresh',
      isFresh,
      `concluded ${record.concludedAtMs}, until ${record.expiresAtMs}`,
    ),
    ...(await Promise.all(record.echoes.map((echo) => verifyEcho(echo, trust)))),
    ...(record.attestation === null ? [] : [await verifyAttestation(record.attestation, trust)]),
  ]
}

async function verifyEcho(
  echo: EvidenceRecord['echoes'][number],
  { chain }: EvidenceTrust,
): Promise<VerificationLine> {
  const { anchor, minRttMs } = echo.statement
  const known = await chain.isHubKey(echo.anchorKey)
  const fault = await checkSignedEcho(echo).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  const detail =
    fault ?? `${minRttMs} ms from anchor ${anchor}, ${known ? 'a' : 'no'} registered key`
  return line('evidence.echo', known && fault === undefined, detail)
}

async function verifyAttestation(
  attestation: NonNullable<EvidenceRecord['attestation']>,
  { attesters }: EvidenceTrust,
): Promise<VerificationLine> {
  const { country, expiresAtMs } = attestation.statement
  const ok = await isAttestedBy(attestation, attesters)
  return line('evidence.attestation', ok, `${country} until ${expiresAtMs}, by a pinned key`)
}

function line(name: string, ok: boolean, detail: string): VerificationLine {
  return { name, result: ok ? 'passed' : 'failed', detail }
}
