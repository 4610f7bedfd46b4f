/** Remembers the convictions of each reporter, so that a new key of a convicted one starts under suspicion. */
import { BoundedMap } from '#shared/base/bounded-map.ts'

export interface ReporterRow {
  readonly reporter: string
  readonly convictions: number
  readonly lastMs: number
}

export const REPORTER_MEMORY_MS = 30 * 86_400_000
const MOST_REPORTERS = 50_000

export class Reporters {
  readonly #rows = new BoundedMap<string, ReporterRow>(MOST_REPORTERS)

  constructor(rows: readonly ReporterRow[] = []) {
    for (const row of rows) this.#rows.set(row.reporter, row)
  }

  /** Convictions that are remembered. */
  convictions(reporter: string, nowMs: number): number {
    const row = this.#rows.get(reporter)
    return row === undefined || row.lastMs + REPORTER_MEMORY_MS < nowMs ? 0 : row.convictions
  }

  convict(reporter: string, nowMs: number): number {
    const convictions = this.convictions(reporter, nowMs) + 1
    this.#rows.set(reporter, { reporter, convictions, lastMs: nowMs })
    return convictions
  }

  rows(): readonly ReporterRow[] {
    return [...this.#rows.values()]
  }
}
