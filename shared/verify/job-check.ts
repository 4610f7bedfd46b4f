/** Checks one job of a bundle: its receipt, its evidence, and what the log says about it. */
import { isAddress } from 'viem'
import type { BundledJob, BundleHead } from '#shared/audit/bundle.ts'
import { admissionOf, placementOf } from '#shared/audit/receipt.ts'
import { isNoDomain } from '#shared/proof/domain.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Place, SignedReceipt } from '#shared/receipt/receipt.ts'
import { countryCode, hasCountry, isSubset, type CountrySet } from '#shared/law/region.ts'
import { isNoChain, type ChainAccess } from './chain-view.ts'
import { verifyEvidence } from './evidence.ts'
import { lineAbout as line, type BundleLine } from './line.ts'
import type { Found, LogCheck } from './log-check.ts'
import { checkDocument } from './receipt.ts'
import type { BundleTrust } from './trust.ts'

export interface JobContext {
  readonly head: BundleHead
  readonly trust: BundleTrust
  readonly chain: ChainAccess
  readonly log: LogCheck
}

export async function checkJob(job: BundledJob, context: JobContext) {
  const { receipt, evidence, settlement } = job
  const { trust, chain, log, head } = context
  const { ticket } = receipt.receipt
  const placed = log.find('job.placed', placementOf(receipt))
  const status = settlement === null ? ('pending' as const) : ('settled' as const)
  const document = { receipt, salt: null, status, refusal: null, settlement, settlesByMs: null }
  const proven = [
    ...(await checkDocument(document, { ...trust, chain }, placed.result === 'passed')),
    ...(await verifyEvidence(receipt, evidence, { ...trust, chain })),
  ]
  // A contract's address may have one other spelling: that with a checksum.
  const isSpelled =
    isNoDomain(receipt.domain) || isAddress(receipt.domain.verifyingContract, { strict: true })
  const about = ticket.jobId
  const { job: asked, policy } = head.selection
  const isAsked =
    (asked === null || asked === ticket.jobId) && (policy === null || policy === receipt.policy.id)
  const isOwn = ticket.tenant === head.tenant && isSpelled && isAsked
  const lines = [
    ...proven.map((each) => ({ ...each, about })),
    line(about, 'job.tenant', isOwn, ticket.tenant),
    ...checkAdmission(receipt, context),
    checkPlacement(receipt, placed),
    ...(trust.within === undefined
      ? []
      : [checkWithin(about, ticket.place, trust.within.countries)]),
    ...(status === 'settled' || isNoChain(chain)
      ? []
      : [line(about, 'batch.covers', 'pending', 'it is in no batch yet')]),
  ]
  return {
    lines: lines.map((each) => ({ ...each, receipt: receipt.id })),
    /** Sequence number of the entry that places it; -1 for none. */
    placedAt: placed.sequence,
  }
}

/** A bundle narrowed to another type says nothing about admissions. */
function checkAdmission(receipt: SignedReceipt, { head, log }: JobContext): BundleLine[] {
  const { type } = head.selection
  if (type !== null && type !== 'job.admitted') return []
  const { sequence, result } = log.find('job.admitted', admissionOf(receipt))
  const { jobId } = receipt.receipt.ticket
  return [line(jobId, 'log.admitted', result, `${nameEntry(sequence)} describes this ticket`)]
}

/** The tenant's clock dates an entry, after the job has ended. */
function checkPlacement({ receipt }: SignedReceipt, { sequence, atMs, result }: Found): BundleLine {
  const { ticket, finishedAtMs } = receipt
  const isEarly = result === 'passed' && finishedAtMs > atMs + LIMITS.clockSkewMs
  const said = `${nameEntry(sequence)} describes this receipt`
  const detail = isEarly
    ? `${said}, and was written ${finishedAtMs - atMs} ms before its end`
    : said
  return line(ticket.jobId, 'log.placed', isEarly ? 'failed' : result, detail)
}

export function nameEntry(sequence: number): string {
  return sequence >= 0 ? `entry ${sequence}` : 'no shown entry'
}

/** Counts every country that the evidence leaves possible: the node may have stood in any of them. */
function checkWithin(about: string, { country, possible }: Place, within: CountrySet): BundleLine {
  const isInside = hasCountry(within, country) && isSubset(possible, within)
  const where = countryCode(country)
  const detail = isInside
    ? `${where} is inside`
    : `${where} is outside, or its evidence leaves a country outside possible`
  return line(about, 'place.within', isInside, detail)
}
