/** What hedges may cost a hub: a fixed share of the work that was answered, in expected ms of nodes' time and by count. */

/** Second attempts at late jobs cost at most this share of the answered work. */
const HEDGED_SHARE = 0.02
/** They are at most this share of the answered jobs: the hub has as much to do for a short job as for a long one. */
const HEDGED_JOBS = 0.03
/** At most this many mean jobs' worth is saved up, so that hedges do not double the load when all nodes stall. */
const MOST_SAVED_JOBS = 32
/** Weight of a new job in the mean. */
const WEIGHT = 0.05

export interface HedgeBudget {
  /** Adds the share of an answered job. */
  earn(ownMs: number): void
  /** Pays for a second attempt. @returns false, and pays nothing, if it would exceed the budget of time or of jobs */
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
  let savedJobs = 0
  return {
    earn(ownMs) {
      meanMs = meanMs === 0 ? ownMs : meanMs + (ownMs - meanMs) * WEIGHT
      savedMs = Math.min(savedMs + ownMs * share, meanMs * MOST_SAVED_JOBS)
      savedJobs = Math.min(savedJobs + HEDGED_JOBS, MOST_SAVED_JOBS)
    },
    spend(ownMs) {
      if (savedMs < ownMs || savedJobs < 1) return false
      savedMs -= ownMs
      savedJobs -= 1
      return true
    },
    cutOff({ ownMs, aheadMs }, ageMs) {
      const spentMs = Math.min(ownMs, Math.max(0, ageMs - aheadMs))
      savedMs += ownMs - spentMs
      return ownMs - spentMs
    },
  }
}
