/** Checks an evidence record: the ticket names it, its statements are signed, and they lead to the class it claims. */
import { canonicalJson } from '#shared/base/strict-json.ts'
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import { checkSignedEcho } from '#shared/place/echo.ts'
import { evidenceHash, isAttestedBy, placeOf, type EvidenceRecord } from '#shared/place/evidence.ts'
import { ZERO_BYTES32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { type SignedReceipt } from '#shared/receipt/receipt.ts'
import { isNoChain, isUnread } from './chain-view.ts'
import { line, type VerificationLine } from './line.ts'
import type { EvidenceTrust } from './trust.ts'

export async function verifyEvidence(
  { receipt }: SignedReceipt,
  record: EvidenceRecord | null,
  trust: EvidenceTrust,
): Promise<VerificationLine[]> {
  const { place, nodeId, issuedAtMs } = receipt.ticket
  if (record === null) {
    if (place.evidenceHash !== ZERO_BYTES32)
      return [line('evidence.record', false, 'it is missing')]
    // These classes need a record.
    const isProof = place.evidence === 'bounded' || place.evidence === 'attested'
    return [line('evidence.record', !isProof, `the ticket names none for ${place.evidence}`)]
  }
  const hash = evidenceHash(record)
  const again = concludeEvidence(record, record.concludedAtMs)
  const isSame = canonicalJson(again) === canonicalJson(record)
  const isPlace = canonicalJson(placeOf(record, place)) === canonicalJson(place)
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
  const fault = await checkSignedEcho(echo).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  if (fault !== undefined) return line('evidence.echo', false, fault)
  const said = `${minRttMs} ms from anchor ${anchor}`
  if (isUnread(chain))
    return line('evidence.echo', 'open', `${said}, key ${echo.anchorKey.x}; ${chain.unread}`)
  if (isNoChain(chain)) {
    const { x, y } = echo.anchorKey
    const isKnown = chain.hubKeys?.some((key) => key.x === x && key.y === y)
    const pinned = `${said}, key ${x}${isKnown === undefined ? '; no contract registers it here: pin it by --hub-key' : ', as it was pinned'}`
    return line('evidence.echo', isKnown ?? 'open', pinned)
  }
  const known = await chain.isHubKey(echo.anchorKey)
  return line('evidence.echo', known, `${said}, ${known ? 'a' : 'no'} registered key`)
}

async function verifyAttestation(
  attestation: NonNullable<EvidenceRecord['attestation']>,
  { attesters }: EvidenceTrust,
): Promise<VerificationLine> {
  const { statement, attesterKey } = attestation
  const { country, expiresAtMs } = statement
  const isSigned = await isAttestedBy(attestation, attesters ?? [attesterKey])
  if (attesters === null && isSigned) {
    const whose = `by key ${attesterKey.x}; compare elsewhere whose key that is`
    return line('evidence.attestation', 'open', `${country} until ${expiresAtMs}, ${whose}`)
  }
  return line('evidence.attestation', isSigned, `${country} until ${expiresAtMs}, by a pinned key`)
}
