/** How a value goes on over many jobs: its slope, and its end beside its beginning. */
import { median } from '../harness/statistics.ts'

export interface Point {
  readonly jobs: number
  readonly value: number
}

/** Value for each 1,000 jobs: the median of the slopes of all pairs (Theil and Sen), which one outlier does not move. */
export function slopePerThousand(points: readonly Point[]): number {
  const slopes = points.flatMap((a, index) =>
    points
      .slice(index + 1)
      .filter((b) => b.jobs > a.jobs)
      .map((b) => ((b.value - a.value) / (b.jobs - a.jobs)) * 1000),
  )
  return median(slopes)
}

/** The last third over the first: 1 is flat. */
export function growth(points: readonly Point[]): { end: number; start: number } {
  const third = Math.ceil(points.length / 3)
  const values = points.map(({ value }) => value)
  return { start: median(values.slice(0, third)), end: median(values.slice(-third)) }
}
