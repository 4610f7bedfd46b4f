/** A tenant's receipts. Each is logged on arrival, kept as long as its policy says, and can be erased. */
import { admissionOf, placementOf } from '#shared/audit/receipt.ts'
import type { AuditEvent } from '#shared/audit/entries.ts'
import { Address, type Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { type Kept, PHI_AUDIT_DAYS } from '#worker/tenant/log/audit-store.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import { countPlacements } from './placements.ts'
import { eraseJobs } from './erase-jobs.ts'
import { takeFresh, takeLater } from './known-jobs.ts'
import { NEXT_RECORD_DUE, readEvidence, RecordUses, sweepRecords } from './named-records.ts'
import { readGroup, type ReadReceipt } from './read-group.ts'
import { deleteDue, insertReceipts, NEXT_DUE, readReceipts } from './receipt-rows.ts'
import type { TenantReceipts } from '#worker/protocols/tenant.ts'
import type { TenantJobs } from '#worker/protocols/audit.ts'

const DAY_MS = 86_400_000

export interface ReceiptLog extends TenantReceipts {
  /** The kept ones of these receipts, in this order, with their evidence records. */
  findAll(ids: readonly Bytes32[]): TenantJobs
  /** Erases what is due. @returns when the next is due */
  sweep(): number | undefined
}

export function createReceiptLog(database: TenantDatabase, deps: TenantDeps): ReceiptLog {
  const { rows, transaction, audit } = database
  const { nowMs } = deps
  const find = (ids: readonly Bytes32[]) =>
    database.exists() && ids.length > 0 ? readReceipts(rows, ids, nowMs()) : []
  const keep = (fresh: readonly ReadReceipt[], hubKey: SignedReceipt['hubKey']): void => {
    if (fresh.length === 0) return
    keepRecords(rows, fresh)
    insertReceipts(rows, fresh, hubKey)
    countPlacements(rows, fresh)
    audit.append(fresh.flatMap(eventsOf))
  }
  return {
    record(group) {
      const receipts = readGroup(group, database.tenant())
      return transaction(() => {
        const later = takeLater(rows, receipts, nowMs())
        keep(takeFresh(rows, receipts, nowMs()), group.hubKey)
        return {
          later: later.map(({ id }) => id),
          consumer: Address.nullable().parse(database.setting('consumer') ?? null),
        }
      })
    },

    find: (id) => find([id])[0] ?? null,

    findAll(ids) {
      const receipts = find(ids).map(({ receipt }) => receipt)
      return { receipts, evidence: readEvidence(rows, receipts) }
    },

    erase: (jobId, by) => eraseJobs({ subject: jobId, jobIds: [jobId], by }, database, deps),

    eraseReceipts(subject, ids, by) {
      const jobIds = find(ids).map(({ receipt }) => receipt.receipt.ticket.jobId)
      return jobIds.length === 0 ? null : eraseJobs({ subject, jobIds, by }, database, deps)
    },

    sweep() {
      if (!database.exists()) return undefined
      const now = nowMs()
      transaction(() => {
        rows('DELETE FROM erased_jobs WHERE until_ms <= ?', now)
        sweepRecords(rows, now)
        const receipts = deleteDue(rows, now, LIMITS.retentionSweepRows)
        const entries = audit.due(now)
        audit.erase(entries)
        if (receipts + entries.length === 0) return
        const detail = { receipts, entries }
        audit.append([{ type: 'retention.swept', detail, untilMs: null }])
      })
      const due = [database.number(NEXT_DUE), database.number(NEXT_RECORD_DUE), audit.nextDueMs()]
      const nextMs = Math.min(...due.map((ms) => ms ?? Infinity))
      return Number.isFinite(nextMs) ? nextMs : undefined
    },
  }
}

function keepRecords(rows: TenantDatabase['rows'], receipts: readonly ReadReceipt[]): void {
  const uses = new RecordUses()
  for (const { records, untilMs } of receipts) {
    const { policy, presence, evidence } = records
    for (const record of evidence === undefined ? [policy, presence] : [policy, presence, evidence])
      uses.add(record, untilMs)
  }
  uses.keep(rows)
}

/** A receipt proves that its job was admitted and where it ran. */
function eventsOf(read: ReadReceipt): (AuditEvent & Kept)[] {
  const held = read.policy.dataClass === 'phi'
  const phiUntilMs = read.receipt.ticket.issuedAtMs + PHI_AUDIT_DAYS * DAY_MS
  const untilMs = Math.max(read.untilMs, held ? phiUntilMs : 0)
  return [
    { type: 'job.admitted', untilMs, held, detail: admissionOf(read) },
    { type: 'job.placed', untilMs, held, detail: placementOf(read) },
  ]
}
