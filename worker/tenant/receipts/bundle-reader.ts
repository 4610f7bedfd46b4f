/** A tenant's part of a bundle and of an export: the log page by page, each entry opened only where the selection takes it. */
import type { BundledPolicy, BundleNarrowing, ProvenEntry } from '#shared/audit/bundle.ts'
import { ERASURE_TYPES, parseDetail, receiptIdOf, type LogEntry } from '#shared/audit/entries.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { inclusionProof } from '#shared/audit/transparency-log.ts'
import type { AuditReader } from '#worker/tenant/log/audit-reader.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { PolicyStore } from '#worker/tenant/policies/policy-store.ts'
import type { ReceiptLog } from './receipt-log.ts'
import type {
  Stretch,
  BundleOpening,
  BundlePage,
  BundleQuery,
  LogPoint,
  TenantJobs,
} from '#worker/protocols/audit.ts'

interface BundleSources {
  readonly receipts: Pick<ReceiptLog, 'find' | 'evidenceOf'>
  readonly policies: Pick<PolicyStore, 'version'>
  readonly audit: Pick<AuditReader, 'domain' | 'checkpoint' | 'consistency'>
  readonly nowMs: () => number
}

export function createBundleReader(database: TenantDatabase, sources: BundleSources) {
  const { audit, rows } = database
  const { receipts, policies, nowMs } = sources
  const prove = (entries: readonly LogEntry[], size: number): ProvenEntry[] => {
    const read = audit.reader()
    return entries.map((entry) => ({
      ...entry,
      proof: inclusionProof({ index: entry.sequence, size }, read),
    }))
  }
  const pageOf = ({ selection, from, to }: BundlePage): LogEntry[] =>
    selection.job === null
      ? audit.range(from, Math.min(to, from + LIMITS.auditPageEntries))
      : audit.ofJob(selection.job).map(({ entry }) => entry)
  const takes = ({ policy, type }: BundleNarrowing, entry: LogEntry): boolean =>
    (type === null || entry.type === type) &&
    (policy === null || policyOfEntry(entry, rows) === policy)
  return {
    /** Where the log is to be cut, in numbers of entries. @throws {AppError} invalid_request, not_found */
    async open(query: BundleQuery): Promise<BundleOpening> {
      const tenant = database.tenant()
      const { domain, checkpoint } = sources.audit
      const { note, size } = await checkpoint()
      const { job } = query.selection
      if (job !== null && audit.ofJob(job).length === 0)
        throw new AppError('not_found', 'The log has no entries of this job, or they are erased.')
      const range = cutLog(query, audit, size)
      const head = { version: 2 as const, tenant, domain, checkpoint: note, range }
      const { fromMs, toMs } = query.selection
      const edges = [
        ...(fromMs === null || range.from === 0 ? [] : audit.range(range.from - 1, range.from)),
        ...(toMs === null || range.to >= size ? [] : audit.range(range.to, range.to + 1)),
      ]
      return { ...head, selection: query.selection, size, edges: prove(edges.map(close), size) }
    },

    /** What of the log an export of these points would hold. @throws {AppError} invalid_request */
    cut: (query: Pick<BundleQuery, 'from' | 'to'>) => {
      database.tenant()
      return cutLog(query, audit, audit.size())
    },

    /** Every entry of the page, those that the selection leaves out without their detail; erasures explain other entries, and keep theirs. */
    entries: (page: BundlePage): ProvenEntry[] =>
      prove(
        pageOf(page).map((entry) =>
          ERASURE_TYPES.has(entry.type) || takes(page.selection, entry) ? entry : close(entry),
        ),
        page.size,
      ),

    /** Only the entries of the page that the selection takes. */
    selected: (page: BundlePage): LogEntry[] =>
      pageOf(page).filter((entry) => takes(page.selection, entry)),

    /** The receipts of the placements that are opened in the page, in their order, without their salts. */
    jobs(page: BundlePage): TenantJobs {
      const opened = pageOf(page).filter((entry) => takes(page.selection, entry))
      const ids = opened.flatMap((entry) => receiptIdOf(entry) ?? [])
      const placed = ids.flatMap((id) => receipts.find(id)?.receipt ?? [])
      return { receipts: placed, evidence: receipts.evidenceOf(placed) }
    },

    /** Each version that a job of the bundle names. */
    policies: (page: BundlePage): BundledPolicy[] =>
      namedPolicies(page, rows, nowMs()).flatMap(({ id, version }) => {
        const published = policies.version(id, version)
        return published === undefined ? [] : [{ version, policy: published.policy }]
      }),

    /** One proof for each size that the log had in a batch. @throws {AppError} invalid_request */
    consistency: (from: readonly number[], to: number): Bytes32[][] =>
      from
        .slice(0, LIMITS.auditBundlePage)
        .map((size) => sources.audit.consistency({ from: size, to })),

    /** Later entries that say which details of the range were erased; from the page's place on. */
    erasures(page: BundlePage, range: Stretch): ProvenEntry[] {
      return prove(audit.erasuresOf(range, page), page.size)
    },
  }
}

/** By admissions that are readable, and by receipts. */
function namedPolicies(
  { selection: { policy, type, job }, from, to }: BundlePage,
  rows: TenantDatabase['rows'],
  nowMs: number,
): { id: string; version: number }[] {
  const [where, bindings] =
    job === null ? ['a.sequence >= ? AND a.sequence < ?', [from, to]] : ['a.job = ?', [job]]
  const admitted = `SELECT DISTINCT json_extract(a.detail, '$.policyId') AS id,
    json_extract(a.detail, '$.policyVersion') AS version FROM audit_log AS a
    WHERE a.type = 'job.admitted' AND a.detail IS NOT NULL AND ${where}`
  const placed = `SELECT DISTINCT json_extract(r.receipt, '$.policy.id') AS id,
    json_extract(r.receipt, '$.policy.version') AS version
    FROM audit_log AS a JOIN receipts AS r ON r.id = json_extract(a.detail, '$.receiptId')
    WHERE a.type = 'job.placed' AND r.erase_at_ms >= ? AND ${where}`
  const found = [
    ...(type === null || type === 'job.admitted' ? rows(admitted, ...bindings) : []),
    ...(type === null || type === 'job.placed' ? rows(placed, nowMs, ...bindings) : []),
  ].map((row) => ({ id: String(row['id']), version: Number(row['version']) }))
  const wanted = found.filter(({ id }) => policy === null || id === policy)
  return [...new Map(wanted.map((each) => [`${each.id}@${each.version}`, each])).values()]
}

/** @throws {AppError} invalid_request */
function cutLog(
  { from, to }: Pick<BundleQuery, 'from' | 'to'>,
  audit: TenantDatabase['audit'],
  size: number,
): { from: number; to: number } {
  const at = (point: LogPoint, past: number) =>
    'sequence' in point ? point.sequence : Math.min(audit.since(point.atMs + past), size)
  const range = { from: from === null ? 0 : at(from, 0), to: to === null ? size : at(to, 1) }
  if (range.from <= range.to && range.to <= size) return range
  throw new AppError(
    'invalid_request',
    `The log has ${size} entries, so nothing in it goes from ${range.from} to ${range.to}.`,
  )
}

function close(entry: LogEntry): LogEntry {
  return { ...entry, opening: null }
}

/** The policy that a job's entry is of: a placement says it by the admission beside it. */
function policyOfEntry(
  { type, opening }: LogEntry,
  rows: TenantDatabase['rows'],
): string | null | undefined {
  if (opening === null) return undefined
  if (type === 'job.admitted' || type === 'job.refused')
    return parseDetail(type, opening.detail).policyId
  if (type !== 'job.placed') return undefined
  const { jobId } = parseDetail(type, opening.detail)
  const [row] = rows(
    `SELECT json_extract(detail, '$.policyId') AS policy FROM audit_log
      WHERE job = ? AND type = 'job.admitted' LIMIT 1`,
    jobId,
  )
  return row === undefined ? undefined : String(row['policy'])
}
