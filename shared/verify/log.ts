/** Checks a log's signed checkpoint and its entries' leaves, and finds forks. */
import { bytesToHex } from 'viem'
import { commitDetail, leafBytes } from '#shared/audit/entries.ts'
import type { BundleHead, ProvenEntry } from '#shared/audit/bundle.ts'
import {
  isNoteSignedBy,
  parseLogHead,
  parseNote,
  type LogHead,
  type SignedNote,
} from '#shared/audit/checkpoint.ts'
import { ZERO_BYTES32, type Bytes32 } from '#shared/base/ids.ts'
import { leafHash, rootUpTo, verifyInclusion, type Inclusion } from '#shared/proof/tree.ts'
import { lineAbout as line, type BundleLine, type LineName } from './line.ts'
import type { BundleTrust } from './trust.ts'

const NO_HEAD: LogHead = { origin: '', size: 0, root: ZERO_BYTES32 }

/** Reads a checkpoint without checking who signed it; undefined for anything else. */
export function readHead(
  checkpoint: string,
): { readonly note: SignedNote; readonly head: LogHead } | undefined {
  const note = parseNote(checkpoint)
  const head = note && parseLogHead(note.text)
  return note === undefined || head === undefined ? undefined : { note, head }
}

/** Returns a head of no entries where there is no checkpoint, so that no entry is in it. */
export async function readCheckpoint(
  { checkpoint }: Pick<BundleHead, 'checkpoint'>,
  { origin, trust }: { readonly origin: string; readonly trust: Pick<BundleTrust, 'logKeys'> },
): Promise<{ readonly head: LogHead; readonly line: BundleLine }> {
  const read = readHead(checkpoint)
  if (read === undefined)
    return { head: NO_HEAD, line: line('log', 'log.checkpoint', false, 'it is not a checkpoint') }
  const { note, head } = read
  const keys = trust.logKeys ?? []
  const signed = await Promise.all(
    keys.map((publicKey) => isNoteSignedBy(note, { name: origin, publicKey })),
  )
  // Exactly one signature: nobody checks a second one, so it could be anything.
  const isOwn = head.origin === origin && note.signatures.length === 1
  const detail = `${head.size} entries, root ${head.root}, signed by a pinned key`
  if (isOwn && trust.logKeys === null) {
    const open = `${head.size} entries, root ${head.root}; there is no log key to check it with`
    return { head, line: line('log', 'log.checkpoint', 'open', open) }
  }
  return { head, line: line('log', 'log.checkpoint', isOwn && signed.includes(true), detail) }
}

/** Tells whether the entry's leaf stands at its place in the log of that head. */
export function isIncluded(entry: ProvenLeaf, { size, root }: Pick<LogHead, 'size' | 'root'>) {
  return verifyInclusion({ ...inclusionOf(entry, size), root })
}

type ProvenLeaf = Omit<ProvenEntry, 'opening'>

function inclusionOf(entry: ProvenLeaf, size: number): Omit<Inclusion, 'root'> {
  const leaf = bytesToHex(leafHash(leafBytes(entry)))
  return { index: entry.sequence, size, leaf, proof: entry.proof }
}

export interface LeafCheck {
  readonly fault: { readonly name: LineName; readonly detail: string } | undefined
  /** One line for each earlier head that ends with this entry. */
  readonly beginnings: readonly BundleLine[]
}

/** @param known heads of the same log that were seen before */
export function checkLeaf(
  entry: ProvenEntry,
  { size, root }: LogHead,
  known: readonly LogHead[],
): LeafCheck {
  const { sequence, type, opening, commitment } = entry
  if (!isIncluded(entry, { size, root })) {
    const detail = `${type} is not in the log of ${size}`
    return { fault: { name: 'entry.inclusion', detail }, beginnings: [] }
  }
  const beginnings = known
    .filter((head) => head.size === sequence + 1 && head.size < size)
    .map((head) => {
      const isSame = rootUpTo(inclusionOf(entry, size)) === head.root
      const detail = `the log begins with the ${head.size} entries that were seen before; otherwise it has forked`
      return line('log', 'log.consistency', isSame, detail)
    })
  const isOpened = opening === null || commitDetail(opening.salt, opening.detail) === commitment
  const detail = 'the detail is not what the leaf commits to'
  return { fault: isOpened ? undefined : { name: 'entry.detail', detail }, beginnings }
}

/** A log has forked when one size has two roots: its signer showed two people different pasts. */
export function findForks(heads: readonly LogHead[]): BundleLine[] {
  const roots = new Map<string, Bytes32>()
  const forks: BundleLine[] = []
  for (const { origin, size, root } of heads) {
    const name = `${origin} ${size}`
    const known = roots.get(name)
    if (known !== undefined && known !== root) {
      const detail = `two logs have ${size} entries, with roots ${known} and ${root}`
      forks.push(line('log', 'log.fork', false, detail))
    }
    roots.set(name, root)
  }
  return forks
}
