/** A tenant's receipts: each goes into the audit log as it comes, is kept as long as its policy says, and can be erased. */
import { sha256, stringToBytes, toHex } from 'viem'
import { admissionOf, placementOf, receiptUntilMs } from '#shared/audit-receipt.ts'
import { receiptIdOf, type AuditEvent } from '#shared/audit.ts'
import { AppError } from '#shared/errors.ts'
import { Bytes32, nameHash, type JobId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { commitment, SignedReceipt } from '#shared/receipt.ts'
import type { Kept } from './audit-store.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'
import { countPlacement, PLACEMENTS_TABLE } from './placements.ts'
import { EVIDENCE_TABLE, keepEvidence, readEvidence } from './evidence-records.ts'
import type { ErasedJob, RecordedReceipt, TenantBundle } from './protocol.ts'

const DAY_MS = 86_400_000

export interface ReceiptLog {
  /** Again is no change: hubs deliver at least once. */
  record(receipts: readonly RecordedReceipt[]): void
  find(id: Bytes32): RecordedReceipt | null
  /** Records of evidence that these receipts' tickets name. */
  evidenceOf(receipts: readonly SignedReceipt[]): TenantBundle['evidence']
  /** @throws {AppError} not_found */
  erase(jobId: JobId, by: string | null): ErasedJob
  /** Erases what is due. @returns when something is due next */
  sweep(): number | undefined
}

const ERASED_TABLE =
  'CREATE TABLE IF NOT EXISTS erased_jobs (job TEXT PRIMARY KEY, until_ms INTEGER NOT NULL)'

export function createReceiptLog(database: TenantDatabase, deps: TenantDeps): ReceiptLog {
  const { rows, transaction, audit } = database
  const { nowMs } = deps
  const open = () => {
    database.tenant()
    rows(ERASED_TABLE)
    rows(PLACEMENTS_TABLE)
    rows(EVIDENCE_TABLE)
  }
  const keep = ({ receipt, salt, evidence }: RecordedReceipt): void => {
    if (evidence != null) keepEvidence(rows, evidence, receiptUntilMs(receipt))
    const query = 'INSERT INTO receipts (id, receipt, salt, erase_at_ms) VALUES (?, ?, ?, ?)'
    rows(query, receipt.id, JSON.stringify(receipt), salt, receiptUntilMs(receipt))
  }
  return {
    record(receipts) {
      open()
      transaction(() => {
        const events: (AuditEvent & Kept)[] = []
        for (const recorded of receipts) {
          if (isKnown(database, recorded.receipt, nowMs())) continue
          keep(recorded)
          countPlacement(rows, recorded.receipt)
          events.push(...eventsOf(recorded.receipt))
        }
        if (events.length > 0) audit.append(events)
      })
    },

    find(id) {
      if (!database.exists()) return null
      const query = 'SELECT * FROM receipts WHERE id = ? AND erase_at_ms >= ?'
      const [row] = rows(query, id, nowMs())
      if (row === undefined) return null
      return {
        receipt: SignedReceipt.parse(JSON.parse(String(row['receipt']))),
        salt: Bytes32.parse(row['salt']),
      }
    },

    evidenceOf(receipts) {
      open()
      return readEvidence(rows, receipts)
    },

    erase(jobId, by) {
      open()
      return eraseJob({ jobId, by }, database, deps)
    },

    sweep() {
      if (!database.exists()) return undefined
      open()
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
        const detail = { receipts, entries: entries.length }
        audit.append([{ type: 'retention.swept', detail, untilMs: null }])
      })
      const [row] = rows('SELECT min(erase_at_ms) AS due FROM receipts')
      const receiptDueMs = row?.['due'] == null ? Infinity : Number(row['due'])
      const nextMs = Math.min(receiptDueMs, audit.nextDueMs() ?? Infinity)
      return Number.isFinite(nextMs) ? nextMs : undefined
    },
  }
}

function eraseJob(
  { jobId, by }: { readonly jobId: JobId; readonly by: string | null },
  database: TenantDatabase,
  { nowMs, random }: TenantDeps,
): ErasedJob {
  const { rows, transaction, audit } = database
  const entries = audit.ofJob(jobId)
  if (entries.length === 0)
    throw new AppError('not_found', `There is no job ${jobId}, or it is erased.`)
  const free = entries.filter(({ heldUntilMs }) => heldUntilMs === null)
  const erased = free.map(({ entry }) => entry.sequence)
  const held = entries.flatMap(({ entry, heldUntilMs }) =>
    heldUntilMs === null ? [] : [{ sequence: entry.sequence, untilMs: heldUntilMs }],
  )
  const salt = toHex(random(32))
  const job = commitment(salt, sha256(stringToBytes(jobId)))
  return transaction(() => {
    const receipts = entries
      .flatMap(({ entry }) => receiptIdOf(entry) ?? [])
      .filter((id) => deleteReceipt(database, id)).length
    if (erased.length === 0 && receipts === 0)
      throw new AppError('not_found', `What may be erased of ${jobId} is erased.`)
    audit.erase(erased)
    const untilMs = nowMs() + LIMITS.erasureMemoryMs
    rows(
      'INSERT OR REPLACE INTO erased_jobs (job, until_ms) VALUES (?, ?)',
      nameHash(jobId),
      untilMs,
    )
    const detail = { job, entries: erased, receipts, by }
    const sequence = audit.append([{ type: 'job.erased', detail, untilMs: null }])
    return { jobId, salt, commitment: job, sequence, entries: erased, receipts, held }
  })
}

/** A receipt proves that its job was admitted, and where it was placed. */
function eventsOf(signed: SignedReceipt): (AuditEvent & Kept)[] {
  const held = signed.policy.dataClass === 'phi'
  const phiUntilMs = signed.receipt.ticket.issuedAtMs + LIMITS.phiAuditDays * DAY_MS
  const untilMs = Math.max(receiptUntilMs(signed), held ? phiUntilMs : 0)
  return [
    { type: 'job.admitted', untilMs, held, detail: admissionOf(signed) },
    { type: 'job.placed', untilMs, held, detail: placementOf(signed) },
  ]
}

function deleteReceipt({ rows }: TenantDatabase, id: string): boolean {
  return rows('DELETE FROM receipts WHERE id = ? RETURNING id', id).length > 0
}

/** Also one that was kept and is erased: a node may send its receipts again long afterwards. */
function isKnown({ rows }: TenantDatabase, signed: SignedReceipt, nowMs: number): boolean {
  if (receiptUntilMs(signed) <= nowMs) return true
  if (rows('SELECT 1 FROM receipts WHERE id = ?', signed.id).length > 0) return true
  const job = nameHash(signed.receipt.ticket.jobId)
  return rows('SELECT 1 FROM erased_jobs WHERE job = ?', job).length > 0
}
