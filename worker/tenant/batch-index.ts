/** A tenant's batches by id, so that they can be counted and listed; what they hold is in their own objects. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { BatchId } from '../batch/protocol.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

export interface BatchEntry {
  readonly id: BatchId
  readonly createdAtMs: number
}

export interface BatchIndex {
  /** @throws {AppError} rate_limited when the tenant keeps as many as it may */
  add(id: BatchId, eraseAtMs: number): void
  remove(id: BatchId): void
  /** Newest first. */
  list(): BatchEntry[]
}

const TABLE =
  'CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, erase_at_ms INTEGER NOT NULL)'

export function createBatchIndex(
  { rows }: Pick<TenantDatabase, 'rows'>,
  { nowMs }: Pick<TenantDeps, 'nowMs'>,
): BatchIndex {
  /** Tenants made before there were batches have no table; an entry whose batch was never made goes by its time. */
  const open = () => {
    rows(TABLE)
    rows('DELETE FROM batches WHERE erase_at_ms <= ?', nowMs())
  }
  return {
    add(id, eraseAtMs) {
      open()
      const [count] = rows('SELECT count(*) AS batches FROM batches')
      if (Number(count?.['batches']) >= LIMITS.jobsKept) {
        throw new AppError(
          'rate_limited',
          `A tenant keeps at most ${LIMITS.jobsKept} batches: acknowledge those whose results are fetched.`,
          { meta: { retryAfterSeconds: 60 } },
        )
      }
      const query = 'INSERT INTO batches (id, created_at_ms, erase_at_ms) VALUES (?, ?, ?)'
      rows(query, id, nowMs(), eraseAtMs)
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
