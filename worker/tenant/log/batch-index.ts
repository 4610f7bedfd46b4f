/** A tenant's batches by id, to count and to list them; their contents are in objects of their own. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { BatchId, type TenantBatches } from '#worker/protocols/batch.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

export function createBatchIndex(
  { rows }: Pick<TenantDatabase, 'rows'>,
  { nowMs }: Pick<TenantDeps, 'nowMs'>,
): TenantBatches {
  /** Also removes entries whose batch was never created. */
  const sweep = () => void rows('DELETE FROM batches WHERE erase_at_ms <= ?', nowMs())
  return {
    add(id, { eraseAtMs, sizeBytes }) {
      sweep()
      // A repeated request is the same batch and reserves nothing more.
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
