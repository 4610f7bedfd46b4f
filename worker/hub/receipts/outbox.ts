/** Receipts on their way to tenant and ledger: durable before the answer leaves, kept until both have them. */
import { z } from 'zod'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import { Address, Bytes32 } from '#shared/base/ids.ts'
import { SignedReceipt, type ReceiptDocument } from '#shared/receipt/receipt.ts'
import { numberIn, type Row, type SqlStorage } from '#worker/platform/storage.ts'

/** Receipts in one delivery. */
const OUTBOX_BATCH = 100

export const OutboxEntry = z.strictObject({
  receipt: SignedReceipt,
  salt: Bytes32,
  consumer: Address.nullable(),
  /** The evidence from which the ticket's place was concluded. */
  evidence: EvidenceRecord.nullable().default(null),
})
export type OutboxEntry = z.infer<typeof OutboxEntry>

export class Outbox {
  readonly #sql: SqlStorage['sql']

  constructor(storage: SqlStorage) {
    this.#sql = storage.sql
  }

  put(entry: OutboxEntry): void {
    const { id, receipt } = entry.receipt
    this.#sql.exec(
      'INSERT OR IGNORE INTO outbox (id, tenant, entry) VALUES (?, ?, ?)',
      id,
      receipt.ticket.tenant,
      JSON.stringify(entry),
    )
  }

  get(tenant: string, id: string): OutboxEntry | undefined {
    const [row] = this.#sql
      .exec('SELECT entry FROM outbox WHERE id = ? AND tenant = ?', id, tenant)
      .toArray()
    return row === undefined ? undefined : parse(row)
  }

  /** The receipt as its owner sees it while it is still here. */
  document(tenant: string, id: string): ReceiptDocument | null {
    const entry = this.get(tenant, id)
    if (entry === undefined) return null
    const { receipt, salt } = entry
    return { receipt, salt, status: 'pending', refusal: null, settlement: null, settlesByMs: null }
  }

  holdsJob(tenant: string, jobId: string): boolean {
    const query =
      "SELECT 1 FROM outbox WHERE tenant = ? AND json_extract(entry, '$.receipt.receipt.ticket.jobId') = ? LIMIT 1"
    return this.#sql.exec(query, tenant, jobId).toArray().length > 0
  }

  /** The oldest entries, up to the size of one delivery. */
  next(): OutboxEntry[] {
    return this.#sql
      .exec('SELECT entry FROM outbox ORDER BY rowid LIMIT ?', OUTBOX_BATCH)
      .toArray()
      .map(parse)
  }

  isEmpty(): boolean {
    return this.#sql.exec('SELECT 1 FROM outbox LIMIT 1').toArray().length === 0
  }

  size(): number {
    return numberIn(this.#sql.exec('SELECT COUNT(*) FROM outbox').toArray()) ?? 0
  }

  delivered(ids: readonly string[]): void {
    for (const id of ids) this.#sql.exec('DELETE FROM outbox WHERE id = ?', id)
  }
}

function parse(row: Row): OutboxEntry {
  return OutboxEntry.parse(JSON.parse(String(row.entry)))
}
