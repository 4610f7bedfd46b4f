/** The probability that a job is checked. */
import { canServe, type Standing } from './standing.ts'

/** The lowest rate of a job of typical worth. */
export const FLOOR_RATE = 0.025
/** The rate is this divided by the consecutive agreed checks, until it reaches the floor. */
const FALLING = 1
/** The least rate of a node under suspicion. */
const SUSPICION_RATE = 0.5
/** Factor while a kind of work is alarmed. */
const ALARM_FACTOR = 10
const ALARM_MOST_RATE = 0.5
/** A job's worth counts by its square root, within these factors. */
const WORTH = { least: 0.8, most: 2 } as const
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
  const byStanding = Math.max(FLOOR_RATE, FALLING / standing.agreed)
  const byWorth = Math.min(WORTH.most, Math.max(WORTH.least, Math.sqrt(worth)))
  const byGrowth = Math.min(GROWTH.most, Math.max(1, growth / GROWTH.free))
  const rate = byStanding * byWorth * byGrowth
  const alarmed = isAlarmed ? Math.max(rate, Math.min(ALARM_MOST_RATE, rate * ALARM_FACTOR)) : rate
  return Math.min(1, standing.suspicion > 0 ? Math.max(alarmed, SUSPICION_RATE) : alarmed)
}
