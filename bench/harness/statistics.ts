/** Medians and spreads. */

export interface Summary {
  readonly median: number
  readonly p5: number
  readonly p95: number
  readonly p99: number
  readonly count: number
}

/** @param values at least one */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b)
  return {
    median: quantile(sorted, 0.5),
    p5: quantile(sorted, 0.05),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    count: sorted.length,
  }
}

export function median(values: readonly number[]): number {
  return summarize(values).median
}

/** Linear between the two nearest ranks (type 7 of Hyndman and Fan, https://doi.org/10.2307/2684934). */
export function quantile(sorted: readonly number[], part: number): number {
  const rank = (sorted.length - 1) * part
  const low = sorted[Math.floor(rank)] ?? Number.NaN
  const high = sorted[Math.ceil(rank)] ?? low
  return low + (high - low) * (rank - Math.floor(rank))
}
