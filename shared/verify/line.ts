/** What the verifier says: one line a check, by a name that stays the same. */
import { AUTHENTICITY_RULES, CONTENT_RULES } from '#shared/receipt/check-receipt.ts'

/** Every check that there is: what shows lines elsewhere has a place for each of them. */
export const LINE_NAMES = [
  'schema',
  ...AUTHENTICITY_RULES,
  ...CONTENT_RULES,
  'hub.registered',
  'presence.binding',
  'place.evidence',
  'settlement.status',
  'settlement.root',
  'settlement.inclusion',
  'settlement.transaction',
  'evidence.record',
  'evidence.node',
  'evidence.conclusion',
  'evidence.fresh',
  'evidence.echo',
  'evidence.attestation',
  'place.within',
  'bundle.domain',
  'bundle.range',
  'bundle.jobs',
  'job.tenant',
  'job.receipt',
  'policy.text',
  'log.checkpoint',
  'log.entries',
  'log.edges',
  'entry.missing',
  'entry.order',
  'entry.inclusion',
  'entry.detail',
  'log.admitted',
  'log.placed',
  'log.consistency',
  'log.fork',
  'batch.order',
  'batch.log_root',
  'batch.log',
  'batch.covers',
  'batch.jobs',
] as const
export type LineName = (typeof LINE_NAMES)[number]

/** From good to bad. What was found to be wrong is `failed`, and never any other. */
export const LINE_RESULTS = [
  'passed',
  /** Not part of this deployment: settlement, where there is no chain. */
  'absent',
  /** A place that was made up for development: it passes only where that is allowed, and proves nothing. */
  'simulated',
  /** Could not be checked with what the verifier was given. */
  'open',
  /** Has not happened yet: the job's batch. */
  'pending',
  /** Should be in the document and is not. */
  'missing',
  'failed',
] as const
export type LineResult = (typeof LINE_RESULTS)[number]

export interface VerificationLine {
  readonly name: LineName
  readonly result: LineResult
  readonly detail: string
}

/** A line about the log, a batch or a job. */
export interface BundleLine extends VerificationLine {
  readonly about: string
  /** Id of the receipt that it is about: a job has one for each attempt. */
  readonly receipt?: string
}

export function line(name: LineName, result: boolean | LineResult, detail: string) {
  return { name, result: toResult(result), detail } satisfies VerificationLine
}

export function lineAbout(
  about: string,
  name: LineName,
  result: boolean | LineResult,
  detail: string,
): BundleLine {
  return { about, ...line(name, result, detail) }
}

/** Of several: the one that is furthest from proven; `open` where nothing was said. */
export function worstOf(results: readonly LineResult[]): LineResult {
  return LINE_RESULTS.findLast((result) => results.includes(result)) ?? 'open'
}

function toResult(result: boolean | LineResult): LineResult {
  if (typeof result === 'string') return result
  return result ? 'passed' : 'failed'
}
