/** What the nodes of one kind of work share: alarm, typical worth, and the count of jobs in windows of time. */
import { BoundedMap } from '#shared/base/bounded-map.ts'

/** Checks at the alarmed rate that one conviction allows. */
const ALARM_CHECKS = 120
/** Each job allows a part of such a check, so that an attack raises the work by no more. */
const ALARM_PART = 0.03
const MOST_SAVED_CHECKS = 1_000
/** Weight of the newest job in the typical price. */
const NEWEST_WEIGHT = 1 / 256
const MOST_PROVEN = 200_000
export const WINDOW_MS = 60_000

export interface KindRow {
  readonly kind: string
  readonly alarmChecks: number
  readonly savedChecks: number
  readonly typicalPrice: number
  readonly window: number
  readonly jobs: number
  readonly jobsBefore: number
}

/** Jobs in the present window of time and in the one before. */
export class Pace {
  window = 0
  jobs = 0
  jobsBefore = 0

  count(nowMs: number): void {
    const window = Math.floor(nowMs / WINDOW_MS)
    if (window !== this.window) {
      this.jobsBefore = window === this.window + 1 ? this.jobs : 0
      this.jobs = 0
      this.window = window
    }
    this.jobs += 1
  }
}

export class KindState {
  readonly kind: string
  readonly pace = new Pace()
  readonly #proven = new BoundedMap<string, true>(MOST_PROVEN)
  #alarmChecks = 0
  #savedChecks = MOST_SAVED_CHECKS
  #typicalPrice = 0

  constructor(kind: string, row?: KindRow) {
    this.kind = kind
    if (row === undefined) return
    this.#alarmChecks = row.alarmChecks
    this.#savedChecks = row.savedChecks
    this.#typicalPrice = row.typicalPrice
    Object.assign(this.pace, { window: row.window, jobs: row.jobs, jobsBefore: row.jobsBefore })
  }

  get isAlarmed(): boolean {
    return this.#alarmChecks > 0
  }

  /** Nodes that have standing for this kind. */
  get proven(): number {
    return this.#proven.size
  }

  setProven(key: string, isProven: boolean): void {
    if (isProven) this.#proven.set(key, true)
    else this.#proven.delete(key)
  }

  /** A node of this kind that had standing was convicted: others may lie in the same way. */
  alarm(): void {
    const checks = Math.min(ALARM_CHECKS, Math.floor(this.#savedChecks))
    this.#savedChecks -= checks
    this.#alarmChecks += checks
  }

  /** A check was taken. */
  spend(): void {
    if (this.#alarmChecks > 0) this.#alarmChecks -= 1
  }

  /** Counts a job, and returns its worth: its price divided by the typical price. */
  countJob(priceMicroUsd: number, nowMs: number): number {
    this.pace.count(nowMs)
    this.#savedChecks = Math.min(MOST_SAVED_CHECKS, this.#savedChecks + ALARM_PART)
    if (this.#typicalPrice === 0) this.#typicalPrice = priceMicroUsd
    this.#typicalPrice += (priceMicroUsd - this.#typicalPrice) * NEWEST_WEIGHT
    return this.#typicalPrice === 0 ? 1 : priceMicroUsd / this.#typicalPrice
  }

  row(): KindRow {
    const { window, jobs, jobsBefore } = this.pace
    return {
      kind: this.kind,
      alarmChecks: this.#alarmChecks,
      savedChecks: this.#savedChecks,
      typicalPrice: this.#typicalPrice,
      window,
      jobs,
      jobsBefore,
    }
  }
}

/** Jobs in a window from which a share is a share. */
const LEAST_JOBS = 20

/** The node's share of its kind divided by its share in the window before; 1 while too little is known. */
export function growthOf(node: Pace, kind: Pace): number {
  if (node.jobs < LEAST_JOBS || node.jobsBefore < LEAST_JOBS) return 1
  if (node.window !== kind.window || kind.jobsBefore === 0) return 1
  return node.jobs / kind.jobs / (node.jobsBefore / kind.jobsBefore)
}
