/** The node's part of a proof: its key, the record of evidence behind its place, and that record concluded again. */
import { base64ToBytes } from './base64.ts'
import type { BundledJob } from '#shared/audit-bundle.ts'
import { canonicalJson } from '#shared/canonical-json.ts'
import { concludeEvidence } from '#shared/conclude-evidence.ts'
import {
  evidenceHash,
  isAttestedBy,
  isSignedByAnchor,
  type EvidenceRecord,
} from '#shared/evidence.ts'
import { isSignedByNode } from '#shared/node-key.ts'
import { PresenceRecord } from '#shared/node.ts'
import { NO_EVIDENCE, type SignedReceipt } from '#shared/receipt.ts'
import { countryCode } from '#shared/region.ts'
import { finding, type Finding } from './finding.ts'

export async function checkPlace({ receipt, evidence }: BundledJob): Promise<Finding[]> {
  const { place } = receipt.receipt.ticket
  return [
    await checkPresence(receipt),
    ...(await checkEvidence(receipt, evidence)),
    place.source === 'simulated'
      ? { result: 'simulated', text: 'The place is made up for development: it proves nothing' }
      : finding(
          place.source !== 'none' || place.evidence === 'declared',
          `Seen by: ${place.source}`,
        ),
  ]
}

/** The node's own key signed for the receipt key. */
async function checkPresence({ receipt, presence }: SignedReceipt): Promise<Finding> {
  const { nodeId } = receipt.ticket
  const text = `Node ${nodeId} signed that the receipt key is its own`
  const record = base64ToBytes(presence.record)
  const signature = base64ToBytes(presence.signature)
  if (record === undefined || signature === undefined) return finding(false, text)
  const isSigned = await isSignedByNode(nodeId, record, signature)
  const { x, y } = receipt.receiptKey
  try {
    const said = PresenceRecord.parse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(record)),
    )
    const isBound = said.nodeId === nodeId && said.receiptKey.x === x && said.receiptKey.y === y
    return finding(isSigned && isBound, text)
  } catch {
    return finding(false, `${text}, but its record is none`)
  }
}

async function checkEvidence(
  { receipt }: SignedReceipt,
  record: EvidenceRecord | null,
): Promise<Finding[]> {
  const { place, nodeId } = receipt.ticket
  if (place.evidenceHash === NO_EVIDENCE)
    return [
      finding(record === null, `The ticket names no record of evidence; class ${place.evidence}`),
    ]
  if (record === null)
    return [
      { result: 'open', text: `The record of evidence ${place.evidenceHash} is not in the bundle` },
    ]
  const isNamed = evidenceHash(record) === place.evidenceHash
  const isSame =
    record.nodeId === nodeId &&
    record.claim === countryCode(place.country) &&
    record.class === place.evidence &&
    record.possible === place.possible
  return [
    finding(
      isNamed,
      `The record of evidence is the one that the ticket names, ${place.evidenceHash}`,
    ),
    finding(isSame, `It says the same as the ticket: ${record.claim}, ${record.class}`),
    ...(await checkRecord(record)),
  ]
}

/** Signatures of anchors and operator, and the conclusion drawn again from the same inputs. */
async function checkRecord(record: EvidenceRecord): Promise<Finding[]> {
  const { attestation } = record
  const echoes = await Promise.all(
    record.echoes.map(async (echo) =>
      finding(
        await isSignedByAnchor(echo),
        `Anchor ${echo.statement.anchor} signed a round trip of ${echo.statement.minRttMs.toFixed(1)} ms`,
      ),
    ),
  )
  const attested =
    attestation === null
      ? []
      : [
          finding(
            await isAttestedBy(attestation, [attestation.attesterKey]),
            `The operator’s attester key ${attestation.attesterKey.x} signed ${attestation.statement.country}`,
          ),
        ]
  const again = concludeEvidence(record, record.concludedAtMs)
  const isSame = canonicalJson(again) === canonicalJson(record)
  return [
    ...echoes,
    ...attested,
    finding(isSame, `Concluded again from the same inputs: ${again.class}`),
  ]
}
