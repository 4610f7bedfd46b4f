/** What hedges may cost: a fixed share of the work that was answered, in expected ms of the nodes' time and of the hub's. */

/** Second attempts at late jobs cost at most this share of the answered work. */
const HEDGED_SHARE = 0.02
/** What any attempt costs the hub. So of the shortest jobs, 3 % get a second attempt at most. */
const HUB_MS = 2
/** At most this many mean jobs' worth is saved up, so that hedges do not double the load when all nodes stall. */
const MOST_SAVED_JOBS = 32
/** Weight of a new job in the mean. */
const WEIGHT = 0.05

export interface HedgeBudget {
  /** Adds the share of an answered job. */
  earn(ownMs: number): void
  /** Pays for a second attempt. @returns false, and pays nothing, if it would exceed the budget */
  spend(ownMs: number): boolean
  /**
   * Returns the time that a second attempt was cut off before: a cancel travels as fast as the job did.
   * @param ageMs time from its start to the cancel @returns the part returned, in ms
   */
  cutOff(second: SecondCost, ageMs: number): number
}

/** The expected cost of a second attempt. */
export interface SecondCost {
  /** Its own time on its node. */
  readonly ownMs: number
  /** Time of the jobs before it there. */
  readonly aheadMs: number
}

/** @param share of the answered work, in time @default HEDGED_SHARE */
export function createHedgeBudget(share = HEDGED_SHARE): HedgeBudget {
  let savedMs = 0
  let meanMs = 0
  let savedHubMs = 0
  return {
    earn(ownMs) {
      meanMs = meanMs === 0 ? ownMs : meanMs + (ownMs - meanMs) * WEIGHT
      savedMs = Math.min(savedMs + ownMs * share, meanMs * MOST_SAVED_JOBS)
      savedHubMs = Math.min(savedHubMs + (HUB_MS + ownMs) * share, HUB_MS * MOST_SAVED_JOBS)
    },
    spend(ownMs) {
      if (savedMs < ownMs || savedHubMs < HUB_MS) return false
      savedMs -= ownMs
      savedHubMs -= HUB_MS
      return true
    },
    cutOff({ ownMs, aheadMs }, ageMs) {
      const spentMs = Math.min(ownMs, Math.max(0, ageMs - aheadMs))
      savedMs += ownMs - spentMs
      return ownMs - spentMs
    },
  }
}
