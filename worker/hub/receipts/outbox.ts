/** Receipts on their way to tenant and ledger: durable before the answer leaves, kept until both have them. */
import {
  groupOf,
  RECEIPT_GROUP,
  receiptsOf,
  signedReceipt,
  type WholeReceipt,
} from '#shared/audit/receipt-group.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { decode, encode } from '#shared/proof/encoding.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { numberIn, type Row, type SqlStorage } from '#worker/platform/storage.ts'

/** Most receipts that may wait here. */
export const OUTBOX_RECEIPTS = 200_000

/** One row of the outbox, less what was delivered of it. */
export interface OutboxGroup {
  readonly sequence: number
  /** Receipts of the whole row, those that were delivered included. */
  readonly size: number
  readonly hubKey: PublicKey
  readonly receipts: readonly WholeReceipt[]
}

export class Outbox {
  readonly #sql: SqlStorage['sql']
  /** Delivered receipts of rows that hold others, by row. Forgotten at a restart: a delivery may be repeated. */
  readonly #delivered = new Map<number, Set<Bytes32>>()
  #size: number

  constructor(storage: SqlStorage) {
    this.#sql = storage.sql
    this.#size = numberIn(this.#sql.exec('SELECT SUM(size) FROM outbox').toArray()) ?? 0
  }

  put(hubKey: PublicKey, receipts: readonly WholeReceipt[]): void {
    const names = receipts.map(({ id, ticket }) => `${ticket.tenant} ${ticket.jobId} ${id}`)
    this.#sql.exec(
      'INSERT INTO outbox (names, size, receipts) VALUES (?, ?, ?)',
      names.join('\n'),
      receipts.length,
      encode(RECEIPT_GROUP, groupOf(hubKey, receipts)),
    )
    this.#size += receipts.length
  }

  /** The receipt as its owner sees it while it is still here. */
  document(tenant: string, id: string): ReceiptDocument | null {
    const found = this.#find(id)
    const whole = found?.receipts.find((each) => each.id === id && each.ticket.tenant === tenant)
    if (found === undefined || whole === undefined) return null
    const receipt = signedReceipt(whole, { ...whole, hubKey: found.hubKey })
    const { salt } = whole
    return { receipt, salt, status: 'pending', refusal: null, settlement: null, settlesByMs: null }
  }

  holdsJob(tenant: string, jobId: string): boolean {
    return this.#find(`${tenant} ${jobId} `) !== undefined
  }

  /** The oldest rows after `sequence` with about `most` receipts, at least one row if there is any. */
  next(sequence: number, most: number): OutboxGroup[] {
    return this.#sql
      .exec(
        `SELECT sequence, receipts FROM (
          SELECT sequence, receipts, size, SUM(size) OVER (ORDER BY sequence) AS total
            FROM (SELECT * FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?)
        ) WHERE total - size < ?`,
        sequence,
        most,
        most,
      )
      .toArray()
      .map((row) => this.#read(row))
  }

  isEmpty(): boolean {
    return this.#size === 0
  }

  /** Number of receipts here. */
  size(): number {
    return this.#size
  }

  /** @throws {AppError} no_capacity while too many receipts wait: a hub that cannot deliver takes no more jobs */
  checkRoom(): void {
    if (this.#size >= OUTBOX_RECEIPTS)
      throw new AppError(
        'no_capacity',
        `${this.#size} receipts wait for tenants and ledger; the hub takes no job until they are delivered.`,
      )
  }

  /** Forgets what tenant and ledger have of these rows. */
  delivered(groups: readonly OutboxGroup[], ids: ReadonlySet<Bytes32>): void {
    const done: number[] = []
    for (const { sequence, receipts } of groups) {
      const own = receipts.filter(({ id }) => ids.has(id))
      if (own.length === 0) continue
      this.#size -= own.length
      if (own.length === receipts.length) done.push(sequence)
      else this.#forget(sequence, own)
    }
    for (const sequence of done) this.#delivered.delete(sequence)
    if (done.length > 0)
      this.#sql.exec(
        'DELETE FROM outbox WHERE sequence IN (SELECT value FROM json_each(?))',
        JSON.stringify(done),
      )
  }

  #forget(sequence: number, receipts: readonly WholeReceipt[]): void {
    const before = this.#delivered.get(sequence) ?? new Set()
    this.#delivered.set(sequence, new Set([...before, ...receipts.map(({ id }) => id)]))
  }

  #find(name: string): OutboxGroup | undefined {
    const query = 'SELECT sequence, receipts FROM outbox WHERE instr(names, ?) > 0 LIMIT 1'
    const [row] = this.#sql.exec(query, name).toArray()
    return row === undefined ? undefined : this.#read(row)
  }

  #read(row: Row): OutboxGroup {
    const sequence = Number(row['sequence'])
    const bytes = new Uint8Array(row['receipts'] as ArrayBuffer)
    const group = decode(RECEIPT_GROUP, bytes)
    const gone = this.#delivered.get(sequence)
    const receipts = receiptsOf(group).filter(({ id }) => gone?.has(id) !== true)
    return { sequence, size: group.receipts.length, hubKey: group.hubKey, receipts }
  }
}
