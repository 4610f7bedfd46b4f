/** Times that work takes on one node, as measured by the hub. Pure, except for each member's map. */
import type { Work } from '#shared/job/job.ts'

export interface ServiceTime {
  readonly best: Answered
  readonly peak: Answered
  readonly atMs: number
  /** The last answers. The slowest of a few dozen is their p99. */
  readonly recent: readonly Answered[]
}

/** By work, the latest last. */
export type ServiceTimes = Map<string, ServiceTime>

export interface Answered {
  readonly ms: number
  readonly units: number
}

const RECENT_ANSWERS = 64
/** Half-life of a peak. Without it, one slow first run would exclude a node for ever. */
const PEAK_HALF_LIFE_MS = 10_000
/** Weight of a new sample below the average; slower samples count at once (peak-EWMA). */
const DECAY = 0.2
const WORKS_KEPT = 256

const NEVER: Answered = { ms: 0, units: 1 }

export function workKey(work: Work): string {
  return 'model' in work ? work.model : work.digest
}

export function timeOf(times: ServiceTimes, work: Work): ServiceTime | undefined {
  return times.get(workKey(work))
}

export function recordAnswer(
  times: ServiceTimes,
  work: Work,
  { ms, units, atMs }: Answered & { readonly atMs: number },
): void {
  const known = timeOf(times, work)
  const before = known === undefined || known.recent.length === 0 ? undefined : known
  const answer = { ms, units }
  const recent = [...(before?.recent ?? []), answer].slice(-RECENT_ANSWERS)
  if (before === undefined) return keep(times, work, { best: answer, peak: answer, atMs, recent })
  const peakMs = decayed(before.best.ms, before.peak.ms, atMs - before.atMs)
  const peak =
    ms > peakMs ? answer : { ms: peakMs + (ms - peakMs) * DECAY, units: before.peak.units }
  keep(times, work, { best: ms < before.best.ms ? answer : before.best, peak, atMs, recent })
}

/** The node never ended a job: it counts as slow at that work for a while. */
export function recordSilence(
  times: ServiceTimes,
  work: Work,
  { ms, units, atMs }: Answered & { readonly atMs: number },
): void {
  const { best, peak, recent } = timeOf(times, work) ?? { best: NEVER, peak: NEVER, recent: [] }
  const slow = ms * 2 > peak.ms ? { ms: ms * 2, units } : peak
  keep(times, work, { best, peak: slow, atMs, recent })
}

/** Predicted time for `units`. A job smaller than the measured one takes its share of the time. */
export function expectedMs(
  { best, peak, atMs }: ServiceTime,
  { units, nowMs }: { readonly units: number; readonly nowMs: number },
): number {
  const bestMs = shareOf(best, units)
  return decayed(bestMs, Math.max(bestMs, shareOf(peak, units)), nowMs - atMs)
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

function decayed(bestMs: number, peakMs: number, ageMs: number): number {
  return bestMs + (peakMs - bestMs) * 0.5 ** (Math.max(0, ageMs) / PEAK_HALF_LIFE_MS)
}

function keep(times: ServiceTimes, work: Work, time: ServiceTime): void {
  times.set(workKey(work), time)
  const [oldest] = times.keys()
  if (times.size > WORKS_KEPT && oldest !== undefined) times.delete(oldest)
}
