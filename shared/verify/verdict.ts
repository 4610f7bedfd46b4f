/** Sums up all checks, in the words that the command prints and the console shows. Claims no more than was shown. */
import type { VerificationLine } from './line.ts'

export type VerdictResult = 'holds' | 'incomplete' | 'fails'

export interface Verdict {
  readonly result: VerdictResult
  readonly title: string
  /** Further remarks for the reader, one sentence each. */
  readonly notes: readonly string[]
}

/** Whole numbers as ranges in ascending order, both ends included. */
export type Ranges = [from: number, to: number][]

/** Adds a range that begins after every other. */
export function extend(ranges: Ranges, from: number, to = from): void {
  const last = ranges.at(-1)
  if (last !== undefined && last[1] === from - 1) last[1] = to
  else ranges.push([from, to])
}

export function countOf(ranges: Readonly<Ranges>): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}

export type Tally = ReturnType<typeof newTally>

export interface VerdictOptions {
  /** The countries that the user named, as written. */
  readonly within?: readonly string[] | undefined
  /** Accepts missing parts. @default false */
  readonly allowGaps?: boolean | undefined
  readonly nowMs: number
}

export function tallyLine(tally: Tally, { name, result, detail }: VerificationLine): void {
  tally.checks += 1
  if (name === 'place.within') tally[result === 'passed' ? 'inside' : 'outside'] += 1
  if (result === 'failed') tally.failed += 1
  if (result === 'simulated') tally.simulated += 1
  if (result !== 'open') return
  tally.open += 1
  if (tally.openFor === '') tally.openFor = detail
}

/** Counts of what a document showed. @param scope what it covers: `entries 0 to 11 of a log of 12, 5 jobs` */
export function newTally(scope: string) {
  return {
    scope,
    checks: 0,
    failed: 0,
    simulated: 0,
    /** Checks that could not be made with what the verifier was given, and why the first could not. */
    open: 0,
    openFor: '',
    pending: 0,
    /** When the last pending job should have settled; null when unknown. */
    settlesByMs: null as number | null,
    /** Entries of the range that are not there. */
    gaps: [] as Ranges,
    /** Entries without a detail that no erasure in the log explains. */
    withheld: [] as Ranges,
    withheldFor: 'which no erasure in the log explains',
    /** Entries whose detail was erased, as the log itself says. */
    erased: [] as Ranges,
    /** Placements that are shown without their receipt. */
    receiptsMissing: 0,
    /** Other missing parts: a policy's text, an entry beside the range. */
    otherMissing: 0,
    /** True if the deployment settles on a chain. */
    isSettled: true,
    /** Jobs inside and outside the countries that the user named. */
    inside: 0,
    outside: 0,
  }
}

export function conclude(
  tally: Tally,
  { allowGaps = false, nowMs, within }: VerdictOptions,
): Verdict {
  const notes = [...placesOf(tally, within), ...notesOf(tally)]
  const { checks, failed, scope } = tally
  if (failed > 0)
    return { result: 'fails', title: `NOT valid: ${failed} of ${checks} checks fail.`, notes }
  const missing = [...missingOf(tally), ...unplacedOf(tally, within)]
  const waiting = waitingOf(tally, nowMs)
  const open =
    tally.open === 0 ? [] : [`${some(tally.open, 'check')} cannot be made here (${tally.openFor})`]
  const isShort = waiting.length + open.length > 0 || (missing.length > 0 && !allowGaps)
  if (isShort) {
    const what = [...missing, ...waiting, ...open].join('; ')
    const title = `No check fails (${some(checks, 'check')}; ${scope}), but the proof is incomplete: ${what}.`
    return { result: 'incomplete', title, notes }
  }
  if (missing.length > 0) {
    const what = missing.join('; ')
    const title = `No check fails (${some(checks, 'check')}; ${scope}), with gaps that --allow-gaps accepts: ${what}.`
    return { result: 'holds', title, notes }
  }
  return { result: 'holds', title: `Everything holds: ${some(checks, 'check')}; ${scope}.`, notes }
}

function missingOf(tally: Tally): string[] {
  const { gaps, withheld, withheldFor, receiptsMissing, otherMissing } = tally
  const said: string[] = []
  if (gaps.length > 0)
    said.push(`${some(countOf(gaps), 'entry', 'entries')} missing (${describe(gaps)})`)
  if (withheld.length > 0)
    said.push(
      `${some(countOf(withheld), 'entry', 'entries')} without detail, ${withheldFor} (${describe(withheld)})`,
    )
  if (receiptsMissing > 0) said.push(`${some(receiptsMissing, 'receipt')} missing`)
  if (otherMissing > 0) said.push(`${some(otherMissing, 'other part')} missing`)
  return said
}

/** Where an erased job ran is unknown, so it is a gap when the user asked where jobs ran. */
function unplacedOf({ erased }: Tally, within: readonly string[] | undefined): string[] {
  if (within === undefined || erased.length === 0) return []
  return [
    `where the jobs of ${some(countOf(erased), 'erased entry', 'erased entries')} ran is not shown`,
  ]
}

function placesOf({ inside, outside }: Tally, within: readonly string[] | undefined): string[] {
  if (within === undefined) return []
  const names = within.join(', ')
  if (outside > 0) return [`${some(outside, 'job')} ran outside ${names}, ${inside} inside.`]
  return [
    `${inside === 1 ? 'The one job that is shown' : `All ${inside} jobs that are shown`} ran within ${names}.`,
  ]
}

function waitingOf({ pending, settlesByMs }: Tally, nowMs: number): string[] {
  if (pending === 0) return []
  const jobs = `${some(pending, 'job')} pending`
  if (settlesByMs === null) return [`${jobs}, to be settled with a later batch`]
  const by = new Date(settlesByMs).toISOString()
  if (settlesByMs >= nowMs) return [`${jobs}, to be settled by ${by}`]
  return [
    `${jobs}, which should have settled by ${by}: fetch this document again, and ask the operator if that changes nothing`,
  ]
}

function notesOf({ simulated, erased, isSettled }: Tally): string[] {
  const notes: string[] = []
  if (erased.length > 0)
    notes.push(
      `${some(countOf(erased), 'entry', 'entries')} without detail, erased as the log itself says (${describe(erased)}): nothing that they said can be checked.`,
    )
  if (!isSettled) notes.push('Settlement is not part of this deployment.')
  if (simulated > 0)
    notes.push('Places in it are simulated: they say nothing about where the jobs really ran.')
  return notes
}

export function some(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `3 to 5, 9`, at most eight ranges. */
function describe(ranges: Ranges): string {
  const shown = ranges.slice(0, 8).map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`))
  return `${shown.join(', ')}${ranges.length > 8 ? ' and more' : ''}`
}
