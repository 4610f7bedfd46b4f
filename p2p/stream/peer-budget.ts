/** Limits what one peer may cause: a bucket that fills at a steady rate and pays for each action. */
import type { Log, LogFields } from '#shared/base/log.ts'
import type { Clock } from './clock.ts'

export type Budget = ReturnType<typeof createBudget>

export interface BudgetOptions {
  readonly most: number
  readonly perSecond: number
  readonly clock: Pick<Clock, 'nowMs'>
}

export function createBudget({ most, perSecond, clock }: BudgetOptions) {
  let left = most
  let atMs = clock.nowMs()
  const fill = () => {
    const nowMs = clock.nowMs()
    left = Math.min(most, left + (Math.max(0, nowMs - atMs) / 1_000) * perSecond)
    atMs = nowMs
  }
  return {
    /** @returns false, and takes nothing, when too little is left */
    spend(cost: number): boolean {
      fill()
      if (cost > left) return false
      left -= cost
      return true
    },
    /** Returns the cost of something that was asked for. */
    earn(cost: number) {
      left = Math.min(most, left + cost)
    },
    /** Milliseconds until this cost can be paid. */
    waitMs(cost: number): number {
      fill()
      return cost <= left ? 0 : Math.ceil(((cost - left) / perSecond) * 1_000)
    },
  }
}

/**
 * Limits the log lines that one peer causes. Lines over its budget are counted, and the next line says how many.
 * @param dropped lines left out so far, shared by the logs made with `with`
 */
export function withinBudget(log: Log, lines: Budget, dropped = { count: 0 }): Log {
  const allowed =
    (level: 'info' | 'warn' | 'error') =>
    (event: string, fields: LogFields = {}) => {
      if (!lines.spend(1)) {
        dropped.count += 1
        return
      }
      const { count: linesDropped } = dropped
      dropped.count = 0
      log[level](event, linesDropped === 0 ? fields : { ...fields, linesDropped })
    }
  return {
    debug: (event, fields) => log.debug(event, fields),
    info: allowed('info'),
    warn: allowed('warn'),
    error: allowed('error'),
    with: (fields) => withinBudget(log.with(fields), lines, dropped),
  }
}
