/** Cuts a dispatch into boxes of workgroups: parts of a row, rows, or whole layers, in counting order. */

export type Triple = readonly [number, number, number]

export interface Box {
  readonly at: Triple
  readonly size: Triple
}

/** @param from number of workgroups before the box @param most of the box, at least one */
export function nextBox(whole: Triple, from: number, most: number): Box {
  const [x, y, z] = whole
  const row = Math.floor(from / x) % y
  const at = [from % x, row, Math.floor(from / (x * y))] as const
  if (at[0] !== 0 || most < x) return { at, size: [Math.min(most, x - at[0]), 1, 1] }
  if (row !== 0 || most < x * y)
    return { at, size: [x, Math.min(Math.floor(most / x), y - row), 1] }
  return { at, size: [x, y, Math.min(Math.floor(most / (x * y)), z - at[2])] }
}

export function productOf([x, y, z]: Triple): number {
  return x * y * z
}
