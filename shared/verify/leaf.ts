/** Whether an entry is a leaf of the log where it says, its detail what that commits to, and the log one that was seen before. */
import { bytesToHex } from 'viem'
import { commitDetail, leafBytes } from '#shared/audit/entries.ts'
import type { ProvenEntry } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { leafHash, rootUpTo, verifyInclusion } from '#shared/audit/transparency-log.ts'
import { lineAbout as line, type BundleLine, type LineName } from './line.ts'

export interface LeafCheck {
  readonly fault: { readonly name: LineName; readonly detail: string } | undefined
  /** One for each head of before that this is the last entry of. */
  readonly beginnings: readonly BundleLine[]
}

export function checkLeaf(
  entry: ProvenEntry,
  { size, root }: LogHead,
  known: readonly LogHead[],
): LeafCheck {
  const { sequence, type, opening, commitment, proof } = entry
  const inclusion = { index: sequence, size, proof, leaf: bytesToHex(leafHash(leafBytes(entry))) }
  if (!verifyInclusion({ ...inclusion, root }))
    return {
      fault: { name: 'entry.inclusion', detail: `${type} is not in the log of ${size}` },
      beginnings: [],
    }
  const beginnings = known
    .filter((head) => head.size === sequence + 1 && head.size < size)
    .map((head) => {
      const detail = `the log begins with the ${head.size} entries that were seen before; else it has forked`
      return line('log', 'log.consistency', rootUpTo(inclusion) === head.root, detail)
    })
  const isOpened = opening === null || commitDetail(opening.salt, opening.detail) === commitment
  const detail = 'the detail is not what the leaf commits to'
  return { fault: isOpened ? undefined : { name: 'entry.detail', detail }, beginnings }
}
