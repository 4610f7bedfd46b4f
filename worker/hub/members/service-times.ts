/** Times that work takes on one node, as measured by the hub. Pure, except for each member's map. */
import type { Work } from '#shared/job/job.ts'

/** Times of one work on one node; changed in place. */
export interface ServiceTime {
  /** The shortest time of late. */
  best: Answered
  mean: Answered
  atMs: number
  /** The last answers with their round trips. The slowest of a few dozen is their p99. */
  readonly recent: Answered[]
}

/** By work, the latest last. */
export type ServiceTimes = Map<string, ServiceTime>

export interface Answered {
  readonly ms: number
  readonly units: number
}

const RECENT_ANSWERS = 64
/**
 * After this time a mean counts for a quarter of what it has over the best, and soon for nothing. Without that, a node
 * that was slow for a while would get no more work.
 */
const FADE_MS = 15_000
/** Weight of a new sample in the mean. */
const WEIGHT = 0.1
/** A sample counts for at most this multiple of the mean, since one straggler says little about the next job. */
const MOST_TIMES_MEAN = 4
/** With each answer the best moves this share of the way to the mean, so that one lucky time does not stay. */
const DRIFT = 0.01
/** Clocks count in milliseconds, and no work is free. */
const LEAST_MS = 1
const WORKS_KEPT = 256

const NEVER: Answered = { ms: 0, units: 1 }

export function workKey(work: Work): string {
  return 'model' in work ? work.model : work.digest
}

export function timeOf(times: ServiceTimes, work: Work): ServiceTime | undefined {
  return times.get(workKey(work))
}

interface Measured extends Answered {
  /** The part of the round trip that this job alone took. */
  readonly ownMs: number
  /** Whether no other answer came during the job. If one did, both may have run together, and `ownMs` may be too short. */
  readonly isAlone: boolean
  readonly atMs: number
}

/** @returns whether it is the first answer to this work */
export function recordAnswer(
  times: ServiceTimes,
  work: Work,
  { ms, ownMs, isAlone, units, atMs }: Measured,
): boolean {
  const own = { ms: Math.max(LEAST_MS, ownMs), units }
  const time = timeOf(times, work)
  if (time === undefined || time.recent.length === 0) {
    keep(times, work, { best: own, mean: own, atMs, recent: [{ ms, units }] })
    return true
  }
  renewMean(time, own, atMs)
  const { best } = time
  time.best =
    isAlone && own.ms < best.ms ? own : { ...best, ms: best.ms + (time.mean.ms - best.ms) * DRIFT }
  time.recent.push({ ms, units })
  if (time.recent.length > RECENT_ANSWERS) time.recent.shift()
  return false
}

/** A job was cut off: it would have taken longer. This counts like an answer if that is more than the mean. */
export function recordCut(
  times: ServiceTimes,
  work: Work,
  { ownMs, units, atMs }: Pick<Measured, 'ownMs' | 'units' | 'atMs'>,
): void {
  const time = timeOf(times, work)
  if (time === undefined || ownMs <= expectedMs(time, { units, nowMs: atMs })) return
  renewMean(time, { ms: ownMs, units }, atMs)
}

/** The node never ended a job: it counts as slow at that work for a while. */
export function recordSilence(
  times: ServiceTimes,
  work: Work,
  { ms, units, atMs }: Answered & { readonly atMs: number },
): void {
  const { best, mean, recent } = timeOf(times, work) ?? { best: NEVER, mean: NEVER, recent: [] }
  const slow = ms * 2 > mean.ms ? { ms: ms * 2, units } : mean
  keep(times, work, { best, mean: slow, atMs, recent })
}

function renewMean(time: ServiceTime, own: Answered, atMs: number): void {
  const meanMs = decayed(time.best.ms, time.mean.ms, atMs - time.atMs)
  const sampleMs = Math.min(own.ms, meanMs * MOST_TIMES_MEAN)
  time.mean = {
    ms: meanMs + (sampleMs - meanMs) * WEIGHT,
    units: time.mean.units + (own.units - time.mean.units) * WEIGHT,
  }
  time.atMs = atMs
}

/** Predicted time for `units`. A job smaller than the measured ones takes its share of the time. */
export function expectedMs(
  { best, mean, atMs }: ServiceTime,
  { units, nowMs }: { readonly units: number; readonly nowMs: number },
): number {
  const bestMs = shareOf(best, units)
  return decayed(bestMs, shareOf(mean, units), nowMs - atMs)
}

/** The slowest of the last answers, scaled to `units`; undefined if there is none. */
export function slowestMs(time: ServiceTime | undefined, units: number): number | undefined {
  if (time === undefined || time.recent.length === 0) return undefined
  return Math.max(...time.recent.map((one) => one.ms * Math.max(1, units / Math.max(1, one.units))))
}

export function middleOf(times: readonly number[]): number | undefined {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]
}

function shareOf({ ms, units }: Answered, asked: number): number {
  return ms * Math.min(1, Math.max(1, asked) / Math.max(1, units))
}

function decayed(bestMs: number, meanMs: number, ageMs: number): number {
  const age = Math.max(0, ageMs) / FADE_MS
  const rest = 1 / (1 + age * age)
  return bestMs + Math.max(0, meanMs - bestMs) * rest * rest
}

function keep(times: ServiceTimes, work: Work, time: ServiceTime): void {
  times.set(workKey(work), time)
  const [oldest] = times.keys()
  if (times.size > WORKS_KEPT && oldest !== undefined) times.delete(oldest)
}
