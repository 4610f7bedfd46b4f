/** The trend of a value over many jobs: its slope, and its end compared with its start. */
import { median } from '../harness/statistics.ts'

export interface Point {
  readonly jobs: number
  readonly value: number
}

/** Growth in 1,000 jobs: the median of the slopes of all pairs (Theil and Sen), which ignores outliers. */
export function slopePerThousand(points: readonly Point[]): number {
  const slopes = points.flatMap((a, index) =>
    points
      .slice(index + 1)
      .filter((b) => b.jobs > a.jobs)
      .map((b) => ((b.value - a.value) / (b.jobs - a.jobs)) * 1000),
  )
  return median(slopes)
}

/** Medians of the first and the last third. */
export function growth(points: readonly Point[]): { end: number; start: number } {
  const third = Math.ceil(points.length / 3)
  const values = points.map(({ value }) => value)
  return { start: median(values.slice(0, third)), end: median(values.slice(-third)) }
}
