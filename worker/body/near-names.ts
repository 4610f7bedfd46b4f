/** Recognises misspelt names: equal but for case and dashes, or a small edit away. */

/** Keeps letters and digits only, so that `Top-P`, `topP` and `top_p` are equal. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '')
}

/** Splits a name into words: `residencyAllow` and `residency_allow` both have two. */
export function wordsOf(name: string): string[] {
  return name
    .replaceAll(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
}

/** Longer names are not treated as typing errors, which bounds the cost. */
const LONGEST = 64

/** Finds the name in `known` that `name` was probably meant to be. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const plain = plainName(name.slice(0, LONGEST))
  for (const candidate of known) {
    const other = plainName(candidate)
    if (plain === other || isSmallEdit(plain, other)) return candidate
  }
  return undefined
}

export function notKnown(near: string | undefined): string {
  return near === undefined ? 'is not known here' : `is not known here; "${near}" is`
}

/** Allows one edit in a name of four letters or more, two in seven or more. Swapped neighbours count as one edit. */
function isSmallEdit(a: string, b: string): boolean {
  const most = Math.min(a.length, b.length) >= 7 ? 2 : Math.min(a.length, b.length) >= 4 ? 1 : 0
  return Math.abs(a.length - b.length) <= most && editDistance(a, b) <= most
}

/** Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      const isSwap = cost === 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      next[column] = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + cost,
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Infinity,
      )
    }
    beforeLast = last
    last = next
  }
  return last[b.length] ?? 0
}
