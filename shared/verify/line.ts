/** The verifier's output: one line per check, under a stable name. */
import { AUTHENTICITY_RULES, CONTENT_RULES } from '#shared/receipt/check-receipt.ts'

/** All checks; a page that shows lines has a place for each. */
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

/** From good to bad. A check that found something wrong is always `failed`. */
export const LINE_RESULTS = [
  'passed',
  /** Not part of this deployment: settlement, where there is no chain. */
  'absent',
  /** A place that was invented for development. It passes only where that is allowed, and proves nothing. */
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

export interface BundleLine extends VerificationLine {
  readonly about: string
  /** Id of the receipt concerned; a job has one for each attempt. */
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

/** The result that is furthest from proven; `open` for none. */
export function worstOf(results: readonly LineResult[]): LineResult {
  return LINE_RESULTS.findLast((result) => results.includes(result)) ?? 'open'
}

function toResult(result: boolean | LineResult): LineResult {
  if (typeof result === 'string') return result
  return result ? 'passed' : 'failed'
}
