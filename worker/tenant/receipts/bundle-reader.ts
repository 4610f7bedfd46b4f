/** A tenant's part of bundles and exports: the log page by page, opened only where the selection takes an entry. */
import type { BundleNarrowing, ProvenEntry } from '#shared/audit/bundle.ts'
import { ERASURE_TYPES, parseDetail, receiptIdOf, type LogEntry } from '#shared/audit/entries.ts'
import { AppError } from '#shared/base/errors.ts'
import { inclusionProof } from '#shared/proof/tree.ts'
import { checkSizes, type OwnLog } from '#worker/tenant/log/tenant-log.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { PolicyStore } from '#worker/tenant/policies/policy-store.ts'
import type { ReceiptLog } from './receipt-log.ts'
import {
  type BundlePage,
  type BundleQuery,
  type LogPoint,
  type Stretch,
  type TenantBundles,
  AUDIT_PAGE_ENTRIES,
  AUDIT_BUNDLE_PAGE,
} from '#worker/protocols/audit.ts'

interface BundleSources {
  readonly receipts: Pick<ReceiptLog, 'findAll'>
  readonly policies: Pick<PolicyStore, 'version'>
  readonly log: Pick<OwnLog, 'domain' | 'checkpoint' | 'consistency'>
  readonly nowMs: () => number
}

export function createBundleReader(
  database: TenantDatabase,
  { receipts, policies, log, nowMs }: BundleSources,
): TenantBundles {
  const { audit, rows } = database
  const prove = (entries: readonly LogEntry[], size: number): ProvenEntry[] => {
    const read = audit.reader()
    return entries.map((entry) => ({
      ...entry,
      proof: inclusionProof({ index: entry.sequence, size }, read),
    }))
  }
  const pageOf = ({ selection, from, to }: BundlePage): LogEntry[] =>
    selection.job === null
      ? audit.range(from, Math.min(to, from + AUDIT_PAGE_ENTRIES))
      : audit.ofJob(selection.job).map(({ entry }) => entry)
  const takes = ({ policy, type }: BundleNarrowing, entry: LogEntry): boolean =>
    (type === null || entry.type === type) &&
    (policy === null || policyOfEntry(entry, rows) === policy)
  const selected = (page: BundlePage): LogEntry[] =>
    pageOf(page).filter((entry) => takes(page.selection, entry))
  return {
    selected,

    async open(query) {
      const tenant = database.tenant()
      const { note, size } = await log.checkpoint()
      const { job } = query.selection
      if (job !== null && audit.ofJob(job).length === 0)
        throw new AppError('not_found', 'The log has no entries of this job, or they are erased.')
      const range = cutLog(query, audit, size)
      const head = { version: 3 as const, tenant, domain: log.domain, checkpoint: note, range }
      const { fromMs, toMs } = query.selection
      const edges = [
        ...(fromMs === null || range.from === 0 ? [] : audit.range(range.from - 1, range.from)),
        ...(toMs === null || range.to >= size ? [] : audit.range(range.to, range.to + 1)),
      ]
      return { ...head, selection: query.selection, size, edges: prove(edges.map(close), size) }
    },

    cut: (query) => cutLog(query, audit, audit.size()),

    entries: (page) =>
      prove(
        pageOf(page).map((entry) =>
          ERASURE_TYPES.has(entry.type) || takes(page.selection, entry) ? entry : close(entry),
        ),
        page.size,
      ),

    jobs: (page) => receipts.findAll(selected(page).flatMap((entry) => receiptIdOf(entry) ?? [])),

    policies: (page) =>
      namedPolicies(page, rows, nowMs()).flatMap(({ id, version }) => {
        const published = policies.version(id, version)
        return published === null ? [] : [{ version, policy: published.policy }]
      }),

    consistency: (from, to) =>
      from.slice(0, AUDIT_BUNDLE_PAGE).map((size) => log.consistency({ from: size, to })),

    erasures: (page, range) => prove(audit.erasuresOf(range, page), page.size),
  }
}

/** Found in the readable admissions and in the receipts. */
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
  const placed = `SELECT DISTINCT record ->> '$.id' AS id, record ->> '$.version' AS version FROM named_records
    WHERE kind = 'policy' AND hash IN (SELECT r.policy FROM audit_log AS a
      JOIN receipts AS r ON r.id = unhex(substr(a.detail ->> '$.receiptId', 3))
      WHERE a.type = 'job.placed' AND r.erase_at_ms > ? AND ${where})`
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
): Stretch {
  const at = (point: LogPoint, past: number) =>
    'sequence' in point ? point.sequence : Math.min(audit.since(point.atMs + past), size)
  const range = { from: from === null ? 0 : at(from, 0), to: to === null ? size : at(to, 1) }
  checkSizes(range.from, range.to, size)
  return range
}

function close(entry: LogEntry): LogEntry {
  return { ...entry, opening: null }
}

/** The policy of a job's entry. A placement does not name it; the admission of the same job does. */
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
