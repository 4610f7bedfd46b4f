/** A tenant's batches by id, to count and list them. Their contents are in objects of their own. */
import { AppError, invariant } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import {
  BatchId,
  type TenantBatches,
  JOBS_INPUT_BYTES,
  JOBS_OUTPUT_BYTES,
} from '#worker/protocols/batch.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

/** Batches of one tenant. */
const JOBS_KEPT = 200
/** Inputs and results of all batches of a tenant. A running batch counts with its maximum, an ended one with its real size. */
export const JOBS_KEPT_BYTES = 4 * 1024 * MIB
invariant(
  JOBS_INPUT_BYTES + JOBS_OUTPUT_BYTES <= JOBS_KEPT_BYTES,
  'A tenant can keep one full batch.',
)

export function createBatchIndex(
  { rows, number }: Pick<TenantDatabase, 'rows' | 'number'>,
  { nowMs }: Pick<TenantDeps, 'nowMs'>,
): TenantBatches {
  /** Also removes entries whose batch was never created. */
  const sweep = () => void rows('DELETE FROM batches WHERE erase_at_ms <= ?', nowMs())
  return {
    add(id, { eraseAtMs, sizeBytes }) {
      sweep()
      // A repeated request is the same batch and reserves nothing more.
      if (rows('SELECT 1 FROM batches WHERE id = ?', id).length > 0) return
      if ((number('SELECT count(*) FROM batches') ?? 0) >= JOBS_KEPT)
        throw full(`A tenant keeps at most ${JOBS_KEPT} batches`, 'jobs.kept')
      const kept = number('SELECT sum(size_bytes) FROM batches') ?? 0
      if (kept + sizeBytes > JOBS_KEPT_BYTES) {
        const detail = `A tenant's batches keep at most ${JOBS_KEPT_BYTES} bytes; there are ${kept}, and this one may come to ${sizeBytes}`
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
