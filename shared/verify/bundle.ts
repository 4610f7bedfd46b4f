/** Checks a bundle against nothing but pinned keys and the chain, or what was pinned of it, and names whatever does not hold. */
import { isAddress } from 'viem'
import { logOrigin, parseDetail, type AuditDetail, type AuditType } from '../audit.ts'
import { AuditBundle, type BundledBatch, type BundledJob } from '../audit-bundle.ts'
import { admissionOf, placementOf } from '../audit-receipt.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { LogHead } from '../checkpoint.ts'
import { batchName, checkBatches } from './batches.ts'
import type { ChainView } from './chain-view.ts'
import { verifyEvidence } from './evidence.ts'
import { isProven, lineAbout as line, type BundleLine, type LineResult } from './line.ts'
import { checkEntries, findForks, readCheckpoint } from './log.ts'
import { verifyReceipt } from './receipt.ts'
import type { BundleTrust } from './trust.ts'

export interface BundleVerification {
  readonly ok: boolean
  readonly lines: readonly BundleLine[]
  /** The log's states that the bundle shows: to be compared with those of other bundles. */
  readonly heads: readonly LogHead[]
}

/** Never throws for what is wrong with the bundle. */
export async function verifyBundle(
  document: unknown,
  trust: BundleTrust,
): Promise<BundleVerification> {
  const parsed = AuditBundle.safeParse(document)
  if (!parsed.success) {
    const fault = parsed.error.issues[0]
    const detail = `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'not a bundle'}`
    return { ok: false, lines: [line('bundle', 'schema', false, detail)], heads: [] }
  }
  const bundle = parsed.data
  const origin = logOrigin(trust.chain.domain, bundle.tenant)
  const { head, line: signed } = await readCheckpoint(bundle, { origin, trust })
  const lines: BundleLine[] = [
    line('log', 'bundle.domain', isSameDomain(bundle, trust.chain), originOf(bundle)),
    signed,
    ...checkEntries(bundle, head, trust),
    ...(await checkBatches(bundle, { head, chain: trust.chain })),
  ]
  const logged = indexEntries(bundle, trust)
  for (const job of bundle.jobs) lines.push(...(await checkJob(job, { bundle, trust, logged })))
  lines.push(...checkCompleteness(bundle))
  const heads = [head, ...bundle.batches.map(({ checkpoint }) => ({ origin, ...checkpoint }))]
  lines.push(...findForks(heads))
  return { ok: isProven(lines), lines, heads }
}

function isSameDomain({ domain }: AuditBundle, chain: Pick<ChainView, 'domain'>): boolean {
  if (domain === null) return false
  return (
    domain.chainId === chain.domain.chainId &&
    domain.verifyingContract === chain.domain.verifyingContract.toLowerCase()
  )
}

function originOf({ tenant, domain }: AuditBundle): string {
  return domain === null
    ? `tenant ${tenant}, on no chain`
    : `tenant ${tenant} on chain ${domain.chainId}, contract ${domain.verifyingContract}`
}

async function checkJob(
  { receipt, evidence, settlement }: BundledJob,
  { bundle, trust, logged }: JobContext,
): Promise<BundleLine[]> {
  const { ticket } = receipt.receipt
  const { incomplete = 'failed' } = trust
  const about = ticket.jobId
  const status = settlement === null ? 'pending' : 'settled'
  const document = { receipt, salt: null, status, refusal: null, settlement }
  const { lines } = await verifyReceipt(document, trust)
  const proven = [...lines, ...(await verifyEvidence(receipt, evidence, trust))]
  // A contract's address has a second spelling, with a checksum; there is no third.
  const isSpelled = isAddress(receipt.domain.verifyingContract, { strict: true })
  const placed = logged('job.placed', placementOf(receipt))
  const admitted = logged('job.admitted', admissionOf(receipt))
  const batch = bundle.batches.find(({ batchId }) => batchId === settlement?.batchId)
  const isCovered =
    batch !== undefined && placed.sequence >= 0 && placed.sequence < batch.checkpoint.size
  // What is wrong is never open: a batch that the bundle should have, or an entry that is not in the batch's log.
  const isOpen = settlement === null || (batch !== undefined && placed.result === 'open')
  const covers = isCovered || (isOpen ? incomplete : 'failed')
  return [
    ...proven.map((each) => ({ ...each, about })),
    line(about, 'job.tenant', ticket.tenant === bundle.tenant && isSpelled, ticket.tenant),
    line(about, 'log.admitted', admitted.result, `${nameOf(admitted)} tells of this ticket`),
    line(about, 'log.placed', placed.result, `${nameOf(placed)} tells of this receipt`),
    line(about, 'batch.covers', covers, coverage(batch, placed)),
  ].map((each) => ({ ...each, receipt: receipt.id }))
}

function nameOf({ sequence, result }: Found): string {
  if (sequence >= 0) return `entry ${sequence}`
  return result === 'open' ? 'no entry whose detail is there' : 'no entry'
}

function coverage(batch: BundledBatch | undefined, placed: Found): string {
  if (batch === undefined) return 'the batch that settled it is not in the bundle'
  return `${nameOf(placed)} is among the ${batch.checkpoint.size} of batch ${batch.batchId}`
}

interface Found {
  /** -1 when none does. */
  readonly sequence: number
  readonly result: LineResult
}

/** Which entry says exactly this. */
type Logged = (type: AuditType, detail: unknown) => Found

interface JobContext {
  readonly bundle: AuditBundle
  readonly trust: BundleTrust
  readonly logged: Logged
}

function indexEntries({ entries }: AuditBundle, { incomplete = 'failed' }: BundleTrust): Logged {
  const keyOf = (type: AuditType, detail: unknown) => `${type} ${canonicalJson(detail)}`
  const known = new Map(
    entries.flatMap(({ type, sequence, opening }) =>
      opening === null ? [] : [[keyOf(type, opening.detail), sequence] as const],
    ),
  )
  const erased = new Set(entries.flatMap(({ type, opening }) => (opening === null ? type : [])))
  return (type, detail) => {
    const sequence = known.get(keyOf(type, detail)) ?? -1
    if (sequence >= 0) return { sequence, result: 'passed' }
    return { sequence, result: erased.has(type) ? incomplete : 'failed' }
  }
}

/** Each placement that can be read has its receipt, each job stands once, and no batch without a job. */
function checkCompleteness({ entries, jobs, batches }: AuditBundle): BundleLine[] {
  const ids = new Set<string>(jobs.map(({ receipt }) => receipt.id))
  const lines = [line('bundle', 'bundle.jobs', ids.size === jobs.length, 'each job once')]
  for (const { sequence, type, opening } of entries) {
    if (type !== 'job.placed' || opening === null) continue
    const parsed = readPlacement(opening.detail)
    if (parsed === undefined) {
      lines.push(line(`entry ${sequence}`, 'entry.detail', false, 'it is no placement'))
      continue
    }
    if (ids.has(parsed.receiptId)) continue
    const isErased = parsed.receiptUntilMs <= Date.now()
    const detail = isErased ? 'its retention has ended' : 'its receipt is missing'
    lines.push(line(parsed.jobId, 'job.receipt', isErased, detail))
  }
  for (const { batchId } of batches) {
    if (jobs.some(({ settlement }) => settlement?.batchId === batchId)) continue
    lines.push(line(batchName(batchId), 'batch.jobs', false, 'no job of the bundle is in it'))
  }
  return lines
}

function readPlacement(detail: unknown): AuditDetail<'job.placed'> | undefined {
  try {
    return parseDetail('job.placed', detail)
  } catch {
    return undefined
  }
}
