/** Adam7 with less than eight bits a sample, which fast-png cannot decode. https://www.w3.org/TR/png-3/#8InterlaceMethods */

/** Adam7's passes: first column and row, step across and down. */
export const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

interface Size {
  readonly width: number
  readonly height: number
  /** Bits of a pixel's single sample: 1, 2 or 4. */
  readonly depth: number
}

/**
 * @param unfolded the rows of all passes, each after its filter byte
 * @returns the picture's rows without filters, packed as without interlacing
 */
export function joinPasses(unfolded: Uint8Array, { width, height, depth }: Size): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8)
  const rows = new Uint8Array(rowBytes * height)
  let at = 0
  for (const [left, top, across, down] of PASSES) {
    const passBytes = Math.ceil((Math.ceil(Math.max(0, width - left) / across) * depth) / 8)
    if (passBytes === 0) continue
    let before: Uint8Array = new Uint8Array(passBytes)
    for (let y = top; y < height; y += down) {
      const row = withoutFilter(
        unfolded[at] ?? 0,
        unfolded.slice(at + 1, at + 1 + passBytes),
        before,
      )
      for (let x = left, i = 0; x < width; x += across, i++) {
        const place = y * rowBytes + ((x * depth) >> 3)
        rows[place] = (rows[place] ?? 0) | (sampleAt(row, i, depth) << shiftOf(x, depth))
      }
      before = row
      at += 1 + passBytes
    }
  }
  return rows
}

export function sampleAt(row: Uint8Array, index: number, depth: number): number {
  return ((row[(index * depth) >> 3] ?? 0) >> shiftOf(index, depth)) & (2 ** depth - 1)
}

function shiftOf(index: number, depth: number): number {
  return 8 - depth - ((index * depth) & 7)
}

/** https://www.w3.org/TR/png-3/#9Filter-types, where the pixel to the left is one byte away. */
function withoutFilter(filter: number, row: Uint8Array, before: Uint8Array): Uint8Array {
  if (filter > 4) throw new RangeError(`no filter ${filter}`)
  let left = 0
  let corner = 0
  for (let i = 0; i < row.length; i++) {
    const above = before[i] ?? 0
    const guesses = [0, left, above, (left + above) >> 1, nearest(left, above, corner)]
    left = ((row[i] ?? 0) + (guesses[filter] ?? 0)) & 0xff
    corner = above
    row[i] = left
  }
  return row
}

function nearest(left: number, above: number, corner: number): number {
  const guess = left + above - corner
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((each) => Math.abs(guess - each))
  if (toLeft === undefined || toAbove === undefined || toCorner === undefined) return left
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}
