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

export function createBatchIndex(
  { rows }: Pick<TenantDatabase, 'rows'>,
  { nowMs }: Pick<TenantDeps, 'nowMs'>,
): BatchIndex {
  /** An entry whose batch was never made goes by its time. */
  const sweep = () => void rows('DELETE FROM batches WHERE erase_at_ms <= ?', nowMs())
  return {
    add(id, { eraseAtMs, sizeBytes }) {
      sweep()
      // A request that is sent again is the same batch, and takes no more room.
      if (rows('SELECT 1 FROM batches WHERE id = ?', id).length > 0) return
      const [count] = rows('SELECT count(*) AS batches FROM batches')
      if (Number(count?.['batches']) >= LIMITS.jobsKept)
        throw full(`A tenant keeps at most ${LIMITS.jobsKept} batches`, 'jobs.kept')
      const [total] = rows('SELECT coalesce(sum(size_bytes), 0) AS bytes FROM batches')
      const kept = Number(total?.['bytes'])
      if (kept + sizeBytes > LIMITS.jobsKeptBytes) {
        const detail = `A tenant's batches keep at most ${LIMITS.jobsKeptBytes} bytes; there are ${kept}, and this one may come to ${sizeBytes}`
        throw full(detail, 'jobs.kept_bytes')
      }
      const query =
        'INSERT INTO batches (id, created_at_ms, erase_at_ms, size_bytes) VALUES (?, ?, ?, ?)'
      rows(query, id, nowMs(), eraseAtMs, sizeBytes)
    },
    resize(id, sizeBytes) {
      sweep()
      rows('UPDATE batches SET size_bytes = min(size_bytes, ?) WHERE id = ?', sizeBytes, id)
    },
    remove(id) {
      sweep()
      rows('DELETE FROM batches WHERE id = ?', id)
    },
    list() {
      sweep()
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
