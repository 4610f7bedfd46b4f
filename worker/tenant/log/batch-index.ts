/** A tenant's batches by id, so that they can be counted and listed; what they hold is in their own objects. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { BatchId, type BatchEntry, type BatchPlace } from '#worker/protocols/batch.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

export interface BatchIndex {
  /** @throws {AppError} rate_limited when the tenant keeps as many, or as much, as it may */
  add(id: BatchId, place: BatchPlace): void
  /** An ended batch takes no more than this; less than was put aside. */
  resize(id: BatchId, sizeBytes: number): void
  remove(id: BatchId): void
  /** Newest first. */
  list(): BatchEntry[]
}

const TABLES = [
  'CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, erase_at_ms INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS batch_sizes (id TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL)',
]

export function createBatchIndex(
  { rows }: Pick<TenantDatabase, 'rows'>,
  { nowMs }: Pick<TenantDeps, 'nowMs'>,
): BatchIndex {
  /** Tenants made before there were batches have no table; an entry whose batch was never made goes by its time. */
  const open = () => {
    for (const table of TABLES) rows(table)
    rows('DELETE FROM batches WHERE erase_at_ms <= ?', nowMs())
    rows('DELETE FROM batch_sizes WHERE id NOT IN (SELECT id FROM batches)')
  }
  return {
    add(id, { eraseAtMs, sizeBytes }) {
      open()
      // A request that is sent again is the same batch, and takes no more room.
      if (rows('SELECT 1 FROM batches WHERE id = ?', id).length > 0) return
      const [count] = rows('SELECT count(*) AS batches FROM batches')
      if (Number(count?.['batches']) >= LIMITS.jobsKept)
        throw full(`A tenant keeps at most ${LIMITS.jobsKept} batches`, 'jobs.kept')
      const [total] = rows('SELECT coalesce(sum(size_bytes), 0) AS bytes FROM batch_sizes')
      const kept = Number(total?.['bytes'])
      if (kept + sizeBytes > LIMITS.jobsKeptBytes) {
        const detail = `A tenant's batches keep at most ${LIMITS.jobsKeptBytes} bytes; there are ${kept}, and this one may come to ${sizeBytes}`
        throw full(detail, 'jobs.kept_bytes')
      }
      const query = 'INSERT INTO batches (id, created_at_ms, erase_at_ms) VALUES (?, ?, ?)'
      rows(query, id, nowMs(), eraseAtMs)
      rows('INSERT INTO batch_sizes (id, size_bytes) VALUES (?, ?)', id, sizeBytes)
    },
    resize(id, sizeBytes) {
      open()
      rows('UPDATE batch_sizes SET size_bytes = min(size_bytes, ?) WHERE id = ?', sizeBytes, id)
    },
    remove(id) {
      open()
      rows('DELETE FROM batches WHERE id = ?', id)
    },
    list() {
      open()
      return rows('SELECT * FROM batches ORDER BY created_at_ms DESC, id').map((row) => ({
        id: BatchId.parse(row['id']),
        createdAtMs: Number(row['created_at_ms']),
      }))
    },
  }
}

function full(detail: string, rule: string): AppError {
  return new AppError('rate_limited', `${detail}: acknowledge those whose results are fetched.`, {
    meta: { rule, retryAfterSeconds: 60 },
  })
}
