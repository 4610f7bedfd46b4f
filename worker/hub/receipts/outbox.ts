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
import type { Log } from '#shared/base/log.ts'
import { decode, encode } from '#shared/proof/encoding.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { ReceiptDocument, Ticket } from '#shared/receipt/receipt.ts'
import { numberIn, type Row, type SqlStorage } from '#worker/platform/storage.ts'

/** Most receipts that may wait here. */
export const OUTBOX_RECEIPTS = 200_000
/** Most bytes of a row. The platform allows 2 MB, and one receipt with everything that it names takes under 100 KB. */
const ROW_BYTES = 1_000_000

/** A receipt as its hub keeps it, with what it is found by. */
export interface KeptReceipt extends WholeReceipt {
  readonly ticket: Pick<Ticket, 'tenant' | 'jobId' | 'place'>
}

/** One row of the outbox, less what was delivered of it. */
export interface OutboxGroup {
  readonly sequence: number
  /** Receipts of the whole row, those that were delivered included. */
  readonly size: number
  readonly hubKey: PublicKey
  readonly receipts: readonly WholeReceipt[]
}

export interface OutboxPage {
  readonly groups: readonly OutboxGroup[]
  /** Receipts of its rows, those that were delivered or cannot be read included. */
  readonly size: number
  /** Where the next page begins; undefined where nothing follows. */
  readonly next: number | undefined
}

export class Outbox {
  readonly #sql: SqlStorage['sql']
  readonly #log: Log
  /** Delivered receipts of rows that hold others, by row. Forgotten at a restart: a delivery may be repeated. */
  readonly #delivered = new Map<number, Set<Bytes32>>()
  /** Rows that cannot be read, with the number of their receipts. They are kept and told once. */
  readonly #unreadable = new Map<number, number>()
  #size: number

  constructor(storage: SqlStorage, log: Log) {
    this.#sql = storage.sql
    this.#log = log
    this.#size = numberIn(this.#sql.exec('SELECT SUM(size) FROM outbox').toArray()) ?? 0
  }

  /** Keeps the receipts in one row, or in several where their bytes are too many for one. */
  put(hubKey: PublicKey, receipts: readonly KeptReceipt[]): void {
    const bytes = encode(RECEIPT_GROUP, groupOf(hubKey, withSharedEvidence(receipts)))
    if (bytes.length > ROW_BYTES && receipts.length > 1) {
      const half = Math.ceil(receipts.length / 2)
      this.put(hubKey, receipts.slice(0, half))
      this.put(hubKey, receipts.slice(half))
      return
    }
    const names = receipts.map(({ id, ticket }) => `${ticket.tenant} ${ticket.jobId} ${id}`)
    this.#sql.exec(
      'INSERT INTO outbox (names, size, receipts) VALUES (?, ?, ?)',
      names.join('\n'),
      receipts.length,
      bytes,
    )
    this.#size += receipts.length
  }

  /** The receipt as its owner sees it while it is still here. */
  document(tenant: string, id: string): ReceiptDocument | null {
    const [row] = this.#find(id, 'sequence, receipts')
    const found = row === undefined ? undefined : this.#read(row)
    const whole = found?.receipts.find((each) => each.id === id && each.policy.tenant === tenant)
    if (found === undefined || whole === undefined) return null
    const receipt = signedReceipt(whole, { ...whole, hubKey: found.hubKey })
    const { salt } = whole
    return { receipt, salt, status: 'pending', refusal: null, settlement: null, settlesByMs: null }
  }

  holdsJob(tenant: string, jobId: string): boolean {
    return this.#find(`${tenant} ${jobId} `, 'sequence').length > 0
  }

  /** The oldest rows from `sequence` on with about `most` receipts, at least one row if there is any. */
  page(sequence: number, most: number): OutboxPage {
    const rows = this.#sql
      .exec(
        // The sum is over small columns: the bytes of rows beyond the page are not read.
        `SELECT sequence, outbox.size, receipts FROM (
          SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before
            FROM (SELECT sequence, size FROM outbox WHERE sequence >= ? ORDER BY sequence LIMIT ?)
        ) JOIN outbox USING (sequence) WHERE before < ? ORDER BY sequence`,
        sequence,
        most,
        most,
      )
      .toArray()
    const size = rows.reduce((sum, row) => sum + Number(row['size']), 0)
    return {
      groups: rows.flatMap((row) => this.#readable(row) ?? []),
      size,
      next: size < most ? undefined : Number(rows.at(-1)?.['sequence']) + 1,
    }
  }

  /** Every row here is before this sequence. */
  end(): number {
    return (numberIn(this.#sql.exec('SELECT MAX(sequence) FROM outbox').toArray()) ?? -1) + 1
  }

  /** Tells whether nothing here can be delivered. */
  isEmpty(): boolean {
    const unreadable = [...this.#unreadable.values()].reduce((sum, size) => sum + size, 0)
    return this.#size === unreadable
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

  #find(name: string, columns: string): Row[] {
    const query = `SELECT ${columns} FROM outbox WHERE instr(names, ?) > 0 LIMIT 1`
    return this.#sql.exec(query, name).toArray()
  }

  /** A row that cannot be read must not hold up those behind it. */
  #readable(row: Row): OutboxGroup | undefined {
    const sequence = Number(row['sequence'])
    if (this.#unreadable.has(sequence)) return undefined
    try {
      return this.#read(row)
    } catch (error) {
      const size = Number(row['size'])
      this.#unreadable.set(sequence, size)
      this.#log.error('outbox.row-unreadable', { sequence, receipts: size, cause: String(error) })
      return undefined
    }
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

/** The same receipts, with one object for each record of evidence. */
function withSharedEvidence(receipts: readonly KeptReceipt[]): WholeReceipt[] {
  const records = new Map(
    receipts.map(({ ticket, evidence }) => [ticket.place.evidenceHash, evidence]),
  )
  return receipts.map((receipt) => ({
    ...receipt,
    evidence: records.get(receipt.ticket.place.evidenceHash) ?? null,
  }))
}
