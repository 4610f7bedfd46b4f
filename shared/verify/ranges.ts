/** Sets of whole numbers that come mostly one after another: entries of a log. */

/** From … to, both included, in order. */
export type Ranges = [from: number, to: number][]

/** Adds a range that begins after all that is there. */
export function extend(ranges: Ranges, from: number, to = from): void {
  const last = ranges.at(-1)
  if (last !== undefined && last[1] === from - 1) last[1] = to
  else ranges.push([from, to])
}

export function countOf(ranges: Readonly<Ranges>): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}

/** `3 to 5, 9`; the first of many. */
export function describe(ranges: Ranges): string {
  const shown = ranges.slice(0, 8).map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`))
  return `${shown.join(', ')}${ranges.length > 8 ? ' and more' : ''}`
}
