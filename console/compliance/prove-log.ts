/** The log's part of a proof: each entry's commitment and place in the tree, and the signed checkpoint over all. */
import { bytesToHex } from 'viem'
import type { AuditBundle, ProvenEntry } from '#shared/audit-bundle.ts'
import { commitDetail, leafBytes, logOrigin } from '#shared/audit.ts'
import { isNoteSignedBy, parseLogHead, parseNote, type LogHead } from '#shared/checkpoint.ts'
import { leafHash, verifyInclusion } from '#shared/transparency-log.ts'
import { finding, type Finding, type Trust } from './finding.ts'

/** What the bundle's checkpoint says; undefined for what is none. */
export function headOf({ checkpoint }: Pick<AuditBundle, 'checkpoint'>): LogHead | undefined {
  const note = parseNote(checkpoint)
  return note === undefined ? undefined : parseLogHead(note.text)
}

export function checkLog(bundle: AuditBundle): Finding[] {
  const head = headOf(bundle)
  if (head === undefined) return [finding(false, 'The checkpoint is no signed note')]
  return bundle.entries.flatMap((entry) => [
    ...checkOpening(entry),
    finding(
      isIncluded(entry, head),
      `Entry ${entry.sequence} (${entry.type}) is leaf ${entry.sequence} of ${head.size}, ${entry.proof.length} siblings up to root ${head.root}`,
    ),
  ])
}

/** Whether the entry's leaf is where it says it is in the log of that head. */
export function isIncluded(
  entry: Pick<ProvenEntry, 'sequence' | 'atMs' | 'type' | 'commitment' | 'version' | 'proof'>,
  { size, root }: LogHead,
): boolean {
  const leaf = bytesToHex(leafHash(leafBytes(entry)))
  return verifyInclusion({ index: entry.sequence, size, root, leaf, proof: entry.proof })
}

function checkOpening({ opening, sequence, type, commitment }: ProvenEntry): Finding[] {
  if (opening === null)
    return [{ result: 'open', text: `Entry ${sequence} (${type}): its detail is erased` }]
  const isSame = commitDetail(opening.salt, opening.detail) === commitment
  return [finding(isSame, `Entry ${sequence} (${type}): detail and salt open its commitment`)]
}

export async function checkCheckpoint(
  bundle: Pick<AuditBundle, 'checkpoint' | 'tenant'>,
  { domain, logKey }: Pick<Trust, 'domain' | 'logKey'>,
): Promise<Finding[]> {
  const note = parseNote(bundle.checkpoint)
  const head = headOf(bundle)
  if (note === undefined || head === undefined)
    return [finding(false, 'The checkpoint is no signed note')]
  const name = logOrigin(domain, bundle.tenant)
  const origin = finding(
    head.origin === name,
    `The log is ${head.origin}${head.origin === name ? '' : `, expected ${name}`}`,
  )
  if (logKey === null)
    return [origin, { result: 'open', text: 'This deployment shows no log key to check it with' }]
  const isSigned = await isNoteSignedBy(note, { name, publicKey: logKey })
  return [
    origin,
    finding(isSigned, `${head.size} entries, root ${head.root}, signed with log key ${logKey}`),
  ]
}
