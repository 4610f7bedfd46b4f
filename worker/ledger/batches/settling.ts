/** Updates receipts and earnings when a batch lands, reverts or is lost. */
import type { PublicKey } from '#shared/proof/signature.ts'
import {
  addEarnings,
  keyName,
  toKey,
  type KeyEarnings,
} from '#worker/ledger/intake/settlement-batch.ts'
import { assignReceipts, toKept, type Landing } from './settlement-batch-store.ts'
import type { DurableStorage, Row } from '#worker/platform/storage.ts'
import type { Rows } from '#worker/ledger/intake/database.ts'

export type Settling = ReturnType<typeof createSettling>

export function createSettling(rows: Rows, storage: Pick<DurableStorage, 'transactionSync'>) {
  const atomically = <T>(closure: () => T): T => storage.transactionSync(closure)
  const release = (id: number) =>
    rows("UPDATE receipts SET state = 'pending', batch_id = NULL WHERE batch_id = ?", id)

  return {
    /** A version was mined and reverted. Its receipts wait again, as do those of later batches. */
    drop(id: number): void {
      atomically(() => {
        for (const row of rows('SELECT DISTINCT id FROM batches WHERE id >= ?', id))
          release(Number(row['id']))
        rows("UPDATE batches SET state = 'dropped' WHERE id >= ?", id)
      })
    },

    /** The only place where receipts become settled and earnings grow. */
    settle({ id, attempt, transactionHash, blockNumber }: Landing): void {
      atomically(() => {
        const landed = rows('SELECT * FROM batches WHERE id = ? AND attempt = ?', id, attempt)
        release(id)
        for (const version of landed.map(toKept)) assignReceipts(rows, version, 'settled')
        rows("UPDATE batches SET state = 'dropped' WHERE id = ?", id)
        rows(
          `UPDATE batches SET state = 'settled', transaction_hash = ?, block_number = ? WHERE id = ? AND attempt = ?`,
          transactionHash,
          blockNumber,
          id,
          attempt,
        )
        changeEarnings(rows, id, 1n)
      })
    },

    /** The chain lost settled batches (a deep reorganisation, a restored chain): they are posted again. @returns how many */
    reopenFrom(nextBatchId: number): number {
      return atomically(() => {
        const query = "SELECT id FROM batches WHERE state = 'settled' AND id >= ?"
        const lost = rows(query, nextBatchId).map((row) => Number(row['id']))
        for (const id of lost) {
          changeEarnings(rows, id, -1n)
          rows("UPDATE receipts SET state = 'pending' WHERE batch_id = ?", id)
          rows("UPDATE batches SET state = 'posting' WHERE id = ? AND state = 'settled'", id)
        }
        return lost.length
      })
    },

    earnings(): KeyEarnings[] {
      return rows('SELECT key, cumulative FROM earnings').map(toEarnings)
    },

    earnedBy: (key: PublicKey): bigint => cumulativeOf(rows, key),
  }
}

/** Adds what the settled receipts of a batch earned, or subtracts it again. */
function changeEarnings(rows: Rows, batchId: number, sign: 1n | -1n): void {
  const earned = rows('SELECT key, amount FROM receipts WHERE batch_id = ?', batchId).map(
    (row) => ({
      key: toKey(String(row['key'])),
      amountMicroUsd: sign * BigInt(String(row['amount'])),
    }),
  )
  const names = JSON.stringify(earned.map(({ key }) => keyName(key)))
  const before = rows(
    'SELECT key, cumulative FROM earnings WHERE key IN (SELECT value FROM json_each(?))',
    names,
  ).map(toEarnings)
  const after = addEarnings(before, earned).map(({ key, cumulativeMicroUsd }) => [
    keyName(key),
    cumulativeMicroUsd.toString(),
  ])
  rows(
    `INSERT OR REPLACE INTO earnings (key, cumulative)
      SELECT value ->> 0, value ->> 1 FROM json_each(?)`,
    JSON.stringify(after),
  )
}

function toEarnings(row: Row): KeyEarnings {
  return {
    key: toKey(String(row['key'])),
    cumulativeMicroUsd: BigInt(String(row['cumulative'])),
  }
}

function cumulativeOf(rows: Rows, key: PublicKey): bigint {
  const [row] = rows('SELECT cumulative FROM earnings WHERE key = ?', keyName(key))
  return row === undefined ? 0n : BigInt(String(row['cumulative']))
}
