/** One log line a minute about what ended, instead of one for each: counts by outcome, and the spread of times. */
import type { Clock } from '#p2p/stream/clock.ts'
import type { Log, LogFields } from '#shared/base/log.ts'

export const SUMMARY_MS = 60_000

/** Times are counted in classes, each this much longer than the one before. */
const CLASS_RATIO = 1.1
const QUANTILES = { P50: 0.5, P99: 0.99 } as const

export interface SummaryDeps {
  readonly log: Log
  /** Name of the line. */
  readonly event: string
  readonly clock: Clock
  /** More fields of the line, read when it is written. */
  readonly more?: () => LogFields
}

export interface Summary {
  /** @param timesMs by name: `queue` becomes `queueP50Ms` and `queueP99Ms` */
  count(outcome: string, timesMs?: Readonly<Record<string, number>>): void
}

/** A minute without anything to count has no line. */
export function createSummary({ log, event, clock, more = () => ({}) }: SummaryDeps): Summary {
  let outcomes = new Map<string, number>()
  let times = new Map<string, Map<number, number>>()
  const write = () => {
    const [ended, spent] = [outcomes, times]
    outcomes = new Map()
    times = new Map()
    log.info(event, { ...Object.fromEntries(ended), ...spreadOf(spent), ...more() })
  }
  return {
    count(outcome, timesMs = {}) {
      if (outcomes.size === 0) clock.after(SUMMARY_MS, write)
      add(outcomes, outcome)
      for (const [name, ms] of Object.entries(timesMs)) {
        const classes = times.get(name) ?? new Map<number, number>()
        times.set(name, classes)
        add(classes, classOf(ms))
      }
    },
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function classOf(ms: number): number {
  return ms < 1 ? 0 : Math.ceil(Math.log(ms) / Math.log(CLASS_RATIO))
}

function spreadOf(times: ReadonlyMap<string, ReadonlyMap<number, number>>): LogFields {
  const fields: Record<string, number> = {}
  for (const [name, classes] of times) {
    for (const [quantile, share] of Object.entries(QUANTILES))
      fields[`${name}${quantile}Ms`] = quantileOf(classes, share)
  }
  return fields
}

/** Upper bound of the class that holds the quantile, in whole ms. */
function quantileOf(classes: ReadonlyMap<number, number>, share: number): number {
  const sorted = [...classes].toSorted(([a], [b]) => a - b)
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0)
  for (const [time, count] of sorted) {
    left -= count
    if (left <= 0) return Math.round(CLASS_RATIO ** time)
  }
  return 0
}
