/** A tenant's receipts. Each is logged on arrival, kept as long as its policy says, and can be erased. */
import { admissionOf, placementOf, receiptUntilMs } from '#shared/audit/receipt.ts'
import type { AuditEvent } from '#shared/audit/entries.ts'
import { Bytes32, nameHash } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { SignedReceipt } from '#shared/receipt/receipt.ts'
import { type Kept, PHI_AUDIT_DAYS } from '#worker/tenant/log/audit-store.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import { countPlacement } from './placements.ts'
import { deleteReceipt, eraseJobs } from './erase-jobs.ts'
import { keepEvidence, readEvidence } from './evidence-records.ts'
import type { RecordedReceipt, TenantReceipts } from '#worker/protocols/tenant.ts'
import type { TenantJobs } from '#worker/protocols/audit.ts'
import { IDEMPOTENCY_KEPT_MS } from '#worker/protocols/idempotency.ts'
import { JOBS_DEADLINE_MS } from '#worker/protocols/batch.ts'
import { invariant } from '#shared/base/errors.ts'

/** Time within which a job may be sent again. Idempotency keys and batches live one day, and their last job may run late. */
const JOB_SENT_AGAIN_MS = 2 * 86_400_000
invariant(
  JOB_SENT_AGAIN_MS > Math.max(IDEMPOTENCY_KEPT_MS, JOBS_DEADLINE_MS),
  'A job is remembered for as long as it may be repeated.',
)

const DAY_MS = 86_400_000

export interface ReceiptLog extends TenantReceipts {
  /** The evidence records that these receipts' tickets name. */
  evidenceOf(receipts: readonly SignedReceipt[]): TenantJobs['evidence']
  /** Erases what is due. @returns when the next is due */
  sweep(): number | undefined
}

export function createReceiptLog(database: TenantDatabase, deps: TenantDeps): ReceiptLog {
  const { rows, transaction, audit } = database
  const { nowMs } = deps
  const keep = ({ receipt, salt, evidence }: RecordedReceipt): void => {
    if (evidence != null) keepEvidence(rows, evidence, receiptUntilMs(receipt))
    const query = 'INSERT INTO receipts (id, receipt, salt, erase_at_ms) VALUES (?, ?, ?, ?)'
    rows(query, receipt.id, JSON.stringify(receipt), salt, receiptUntilMs(receipt))
  }
  const find = (id: Bytes32): RecordedReceipt | null => {
    if (!database.exists()) return null
    const query = 'SELECT * FROM receipts WHERE id = ? AND erase_at_ms >= ?'
    const [row] = rows(query, id, nowMs())
    if (row === undefined) return null
    return {
      receipt: SignedReceipt.parse(JSON.parse(String(row['receipt']))),
      salt: Bytes32.parse(row['salt']),
    }
  }
  return {
    record: (receipts) =>
      transaction(() => {
        const events: (AuditEvent & Kept)[] = []
        rows('DELETE FROM first_receipts WHERE until_ms <= ?', nowMs())
        const later = receipts.filter(({ receipt }) => !isFirst(rows, receipt, nowMs()))
        for (const recorded of receipts) {
          if (isKnown(database, recorded.receipt, nowMs())) continue
          keep(recorded)
          countPlacement(rows, recorded.receipt)
          events.push(...eventsOf(recorded.receipt))
        }
        if (events.length > 0) audit.append(events)
        return later.map(({ receipt }) => receipt.id)
      }),

    find,

    evidenceOf: (receipts) => readEvidence(rows, receipts),

    erase: (jobId, by) => eraseJobs({ subject: jobId, jobIds: [jobId], by }, database, deps),

    eraseReceipts(subject, ids, by) {
      const jobIds = ids.flatMap((id) => find(id)?.receipt.receipt.ticket.jobId ?? [])
      return jobIds.length === 0 ? null : eraseJobs({ subject, jobIds, by }, database, deps)
    },

    sweep() {
      if (!database.exists()) return undefined
      const now = nowMs()
      transaction(() => {
        rows('DELETE FROM erased_jobs WHERE until_ms <= ?', now)
        rows('DELETE FROM evidence WHERE until_ms <= ?', now)
        const query = 'SELECT id FROM receipts WHERE erase_at_ms <= ? ORDER BY erase_at_ms LIMIT ?'
        const due = rows(query, now, LIMITS.retentionSweepRows)
        const receipts = due.filter((row) => deleteReceipt(database, String(row['id']))).length
        const entries = audit.due(now)
        audit.erase(entries)
        if (receipts + entries.length === 0) return
        const detail = { receipts, entries }
        audit.append([{ type: 'retention.swept', detail, untilMs: null }])
      })
      const dueMs = database.number('SELECT min(erase_at_ms) FROM receipts') ?? Infinity
      const nextMs = Math.min(dueMs, audit.nextDueMs() ?? Infinity)
      return Number.isFinite(nextMs) ? nextMs : undefined
    },
  }
}

/** A receipt proves that its job was admitted and where it ran. */
function eventsOf(signed: SignedReceipt): (AuditEvent & Kept)[] {
  const held = signed.policy.dataClass === 'phi'
  const phiUntilMs = signed.receipt.ticket.issuedAtMs + PHI_AUDIT_DAYS * DAY_MS
  const untilMs = Math.max(receiptUntilMs(signed), held ? phiUntilMs : 0)
  return [
    { type: 'job.admitted', untilMs, held, detail: admissionOf(signed) },
    { type: 'job.placed', untilMs, held, detail: placementOf(signed) },
  ]
}

/** A job that was sent again may have receipts of several nodes, hubs and ledgers. Only the first is paid. */
function isFirst(rows: TenantDatabase['rows'], signed: SignedReceipt, nowMs: number): boolean {
  const job = nameHash(signed.receipt.ticket.jobId)
  const receipt = nameHash(signed.id)
  const keep = 'INSERT OR IGNORE INTO first_receipts (job, receipt, until_ms) VALUES (?, ?, ?)'
  rows(keep, job, receipt, nowMs + JOB_SENT_AGAIN_MS)
  const [first] = rows('SELECT receipt FROM first_receipts WHERE job = ?', job)
  return first?.['receipt'] === receipt
}

/** True also for an erased receipt: a node may send its receipts again long afterwards. */
function isKnown({ rows }: TenantDatabase, signed: SignedReceipt, nowMs: number): boolean {
  if (receiptUntilMs(signed) <= nowMs) return true
  if (rows('SELECT 1 FROM receipts WHERE id = ?', signed.id).length > 0) return true
  const job = nameHash(signed.receipt.ticket.jobId)
  return rows('SELECT 1 FROM erased_jobs WHERE job = ?', job).length > 0
}
