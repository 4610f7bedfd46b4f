/** The log's part of a bundle: the signed checkpoint, each entry's commitment and place in the tree, and forks. */
import { bytesToHex } from 'viem'
import { commitDetail, leafBytes } from '../audit.ts'
import type { AuditBundle, ProvenEntry } from '../audit-bundle.ts'
import {
  isNoteSignedBy,
  parseLogHead,
  parseNote,
  type LogHead,
  type SignedNote,
} from '../checkpoint.ts'
import type { Bytes32 } from '../ids.ts'
import { leafHash, verifyInclusion } from '../transparency-log.ts'
import { lineAbout as line, type BundleLine } from './line.ts'
import type { BundleTrust } from './trust.ts'

const NO_HEAD: LogHead = { origin: '', size: 0, root: `0x${'0'.repeat(64)}` }

/** What a checkpoint says, whoever signed it; undefined for what is none. */
export function readHead(
  checkpoint: string,
): { readonly note: SignedNote; readonly head: LogHead } | undefined {
  const note = parseNote(checkpoint)
  const head = note && parseLogHead(note.text)
  return note === undefined || head === undefined ? undefined : { note, head }
}

/** A head of no entries where there is no checkpoint: nothing is in that. */
export async function readCheckpoint(
  { checkpoint }: AuditBundle,
  { origin, trust }: { readonly origin: string; readonly trust: BundleTrust },
): Promise<{ readonly head: LogHead; readonly line: BundleLine }> {
  const read = readHead(checkpoint)
  if (read === undefined)
    return { head: NO_HEAD, line: line('log', 'log.checkpoint', false, 'it is no checkpoint') }
  const { note, head } = read
  const keys = trust.logKeys ?? []
  const signed = await Promise.all(
    keys.map((publicKey) => isNoteSignedBy(note, { name: origin, publicKey })),
  )
  // One signature and no more: another that nobody checks could be anything.
  const isOwn = head.origin === origin && note.signatures.length === 1
  const detail = `${head.size} entries, root ${head.root}, signed by a pinned key`
  if (isOwn && trust.logKeys === null) {
    const open = `${head.size} entries, root ${head.root}; there is no log key to check it with`
    return { head, line: line('log', 'log.checkpoint', 'open', open) }
  }
  return { head, line: line('log', 'log.checkpoint', isOwn && signed.includes(true), detail) }
}

/** Whether the entry's leaf is where it says it is in the log of that head. */
export function isIncluded(
  entry: Pick<ProvenEntry, 'sequence' | 'atMs' | 'type' | 'commitment' | 'version' | 'proof'>,
  { size, root }: Pick<LogHead, 'size' | 'root'>,
): boolean {
  const leaf = bytesToHex(leafHash(leafBytes(entry)))
  return verifyInclusion({ index: entry.sequence, size, root, leaf, proof: entry.proof })
}

/** One line for each kind of fault; a bundle of a thousand whole entries needs no thousand lines. */
export function checkEntries(
  { entries }: AuditBundle,
  head: LogHead,
  { incomplete = 'failed' }: Pick<BundleTrust, 'incomplete'>,
): BundleLine[] {
  const failed: BundleLine[] = []
  let before = -1
  for (const entry of entries) {
    const { sequence: index, type, opening, commitment } = entry
    const about = `entry ${index}`
    if (index <= before) failed.push(line(about, 'entry.order', false, `comes after ${before}`))
    before = index
    if (!isIncluded(entry, head))
      failed.push(
        line(about, 'entry.inclusion', false, `${type} is not in the log of ${head.size}`),
      )
    if (opening !== null && commitDetail(opening.salt, opening.detail) !== commitment)
      failed.push(line(about, 'entry.detail', false, 'the detail is not what the leaf commits to'))
  }
  const erased = entries.filter(({ opening }) => opening === null).length
  // Nobody can tell an entry that was erased from one whose detail was held back, nor why some are not here: so both are said.
  const detail = `entries ${rangesOf(entries)} of ${head.size}, ${erased} of them without detail: erased or withheld`
  // An auditor's bundle may have them; who looks at one job is told that there was more.
  const isOpen = erased > 0 && incomplete === 'open'
  return failed.length > 0 ? failed : [line('log', 'log.entries', isOpen ? 'open' : true, detail)]
}

/** `0 to 3, 7, 9 to 11`; the first gaps of many. */
function rangesOf(entries: AuditBundle['entries']): string {
  const ranges: [number, number][] = []
  for (const { sequence } of entries) {
    const last = ranges.at(-1)
    if (last?.[1] === sequence - 1) last[1] = sequence
    else ranges.push([sequence, sequence])
  }
  const shown = ranges.slice(0, 8).map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`))
  return `${shown.join(', ')}${ranges.length > 8 ? ' and more' : ''}`
}

/** Two roots for one size of one log: whoever signed them showed two people different pasts. */
export function findForks(heads: readonly LogHead[]): BundleLine[] {
  const roots = new Map<string, Bytes32>()
  const forks: BundleLine[] = []
  for (const { origin, size, root } of heads) {
    const name = `${origin} ${size}`
    const known = roots.get(name)
    if (known !== undefined && known !== root) {
      const detail = `of ${size} entries there are two logs, ${known} and ${root}`
      forks.push(line('log', 'log.fork', false, detail))
    }
    roots.set(name, root)
  }
  return forks
}
