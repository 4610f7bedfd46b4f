/** The probability that a job is checked. */
import { canServe, ENTRY_CHECKS, type Standing } from './standing.ts'

/** The lowest rate. */
export const FLOOR_RATE = 0.021
/** The rate is this divided by the square of the checks that count, until it reaches the floor. */
const FALLING = 35
/** The least rate of a node under suspicion. */
const SUSPICION_RATE = 0.5
/** Factor while a kind of work is alarmed. */
const ALARM_FACTOR = 30
const ALARM_MOST_RATE = 0.5
/** A job of more than the typical worth counts by its square root, up to this factor. */
const MOST_WORTH = 1.5
/** A share that grows more than this raises the rate in proportion. */
const GROWTH = { free: 2, most: 4 } as const

export interface CheckedJob {
  /** The job's price, divided by the typical price of its kind. */
  readonly worth: number
  /** The node's share of its kind, divided by its share before. */
  readonly growth: number
  /** Nodes of this kind were convicted a moment ago. */
  readonly isAlarmed: boolean
}

/** 1 for a node without standing. */
export function checkRate(standing: Standing, { worth, growth, isAlarmed }: CheckedJob): number {
  if (!canServe(standing)) return 1
  const byStanding = Math.max(FLOOR_RATE, FALLING / countedChecks(standing) ** 2)
  const byWorth = Math.min(MOST_WORTH, Math.max(1, Math.sqrt(worth)))
  const byGrowth = Math.min(GROWTH.most, Math.max(1, growth / GROWTH.free))
  const rate = byStanding * byWorth * byGrowth
  const alarmed = isAlarmed ? Math.max(rate, Math.min(ALARM_MOST_RATE, rate * ALARM_FACTOR)) : rate
  return Math.min(1, standing.suspicion > 0 ? Math.max(alarmed, SUSPICION_RATE) : alarmed)
}

/** A longer entry does not lower the rate: what counts begins where every node's does. */
function countedChecks({ agreed, needed }: Standing): number {
  return Math.max(1, agreed - Math.max(0, needed - ENTRY_CHECKS))
}
