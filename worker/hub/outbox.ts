/** Receipts on their way to the tenant's log and the ledger: durable before the answer leaves, kept until both have them. */
import { z } from 'zod'
import { Address, Bytes32 } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { SignedReceipt } from '#shared/receipt.ts'

/** The part of `ctx.storage` that the outbox needs. */
export interface SqlStorage {
  readonly sql: {
    exec(
      query: string,
      ...bindings: (string | number | null)[]
    ): { toArray(): Record<string, unknown>[] }
  }
}

export const OutboxEntry = z.strictObject({
  receipt: SignedReceipt,
  salt: Bytes32,
  consumer: Address.nullable(),
})
export type OutboxEntry = z.infer<typeof OutboxEntry>

/** How long a hub remembers that a job was answered; receipts that come back later than this are not taken. */
export const ANSWERED_KEPT_MS = 7 * 24 * 3600 * 1000

export class Outbox {
  readonly #sql: SqlStorage['sql']

  constructor(storage: SqlStorage) {
    this.#sql = storage.sql
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, entry TEXT NOT NULL)',
    )
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS answered (job_id TEXT PRIMARY KEY, receipt_id TEXT NOT NULL, at_ms INTEGER NOT NULL)',
    )
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS given_up (job_id TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (job_id, attempt))',
    )
  }

  /** Remembers the one receipt that answered a job; any other of that job changes nothing. */
  put(entry: OutboxEntry, nowMs: number): void {
    const { id, receipt } = entry.receipt
    const { jobId, tenant } = receipt.ticket
    this.#sql.exec(
      'INSERT OR IGNORE INTO answered (job_id, receipt_id, at_ms) VALUES (?, ?, ?)',
      jobId,
      id,
      nowMs,
    )
    this.#sql.exec(
      `INSERT OR IGNORE INTO outbox (id, tenant, entry)
        SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM answered WHERE job_id = ? AND receipt_id = ?)`,
      id,
      tenant,
      JSON.stringify(entry),
      jobId,
      id,
    )
  }

  /** Remembers that the node itself gave an attempt up, or answered it wrongly: no receipt for it counts. */
  giveUp(jobId: string, attempt: number, nowMs: number): void {
    this.#sql.exec(
      'INSERT OR IGNORE INTO given_up (job_id, attempt, at_ms) VALUES (?, ?, ?)',
      jobId,
      attempt,
      nowMs,
    )
  }

  isGivenUp(jobId: string, attempt: number): boolean {
    const query = 'SELECT 1 FROM given_up WHERE job_id = ? AND attempt = ?'
    return this.#sql.exec(query, jobId, attempt).toArray().length > 0
  }

  /** Receipt id that answered a job, if one did. */
  answeredBy(jobId: string): string | undefined {
    const [row] = this.#sql
      .exec('SELECT receipt_id FROM answered WHERE job_id = ?', jobId)
      .toArray()
    return row === undefined ? undefined : String(row.receipt_id)
  }

  get(tenant: string, id: string): OutboxEntry | undefined {
    const [row] = this.#sql
      .exec('SELECT entry FROM outbox WHERE id = ? AND tenant = ?', id, tenant)
      .toArray()
    return row === undefined ? undefined : parse(row)
  }

  /** The oldest entries, at most one batch. */
  next(): OutboxEntry[] {
    return this.#sql
      .exec('SELECT entry FROM outbox ORDER BY rowid LIMIT ?', LIMITS.outboxBatch)
      .toArray()
      .map(parse)
  }

  delivered(ids: readonly string[]): void {
    for (const id of ids) this.#sql.exec('DELETE FROM outbox WHERE id = ?', id)
  }

  prune(nowMs: number): void {
    const beforeMs = nowMs - ANSWERED_KEPT_MS - LIMITS.ticketTtlMs
    this.#sql.exec('DELETE FROM answered WHERE at_ms < ?', beforeMs)
    this.#sql.exec('DELETE FROM given_up WHERE at_ms < ?', beforeMs)
  }
}

function parse(row: Record<string, unknown>): OutboxEntry {
  return OutboxEntry.parse(JSON.parse(String(row.entry)))
}
