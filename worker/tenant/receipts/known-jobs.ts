/** What a tenant remembers of jobs, by the hashes of their ids, when a receipt arrives: the first receipt, and erasures. */
import { nameHash } from '#shared/base/ids.ts'
import { invariant } from '#shared/base/errors.ts'
import { IDEMPOTENCY_KEPT_MS } from '#worker/protocols/idempotency.ts'
import { JOBS_DEADLINE_MS } from '#worker/protocols/batch.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { ReadReceipt } from './read-group.ts'

type Rows = TenantDatabase['rows']

/** Time within which a job may be sent again. Idempotency keys and batches live one day, and their last job may run late. */
const JOB_SENT_AGAIN_MS = 2 * 86_400_000
invariant(
  JOB_SENT_AGAIN_MS > Math.max(IDEMPOTENCY_KEPT_MS, JOBS_DEADLINE_MS),
  'A job is remembered for as long as it may be repeated.',
)

/**
 * A job that was sent again may have receipts of several nodes, hubs and ledgers. Only the first is paid.
 * @returns the receipts whose job has an earlier one
 */
export function takeLater(
  rows: Rows,
  receipts: readonly ReadReceipt[],
  nowMs: number,
): ReadReceipt[] {
  rows('DELETE FROM first_receipts WHERE until_ms <= ?', nowMs)
  const given = JSON.stringify(receipts.map(({ id, job }) => [job, nameHash(id)]))
  rows(REMEMBER, nowMs + JOB_SENT_AGAIN_MS, given)
  return chosen(receipts, rows(LATER, given))
}

const JOB = 'unhex(substr(value ->> 0, 3))'
const RECEIPT = 'unhex(substr(value ->> 1, 3))'
const REMEMBER = `INSERT OR IGNORE INTO first_receipts (job, receipt, until_ms)
  SELECT ${JOB}, ${RECEIPT}, ? FROM json_each(?)`
const LATER = `SELECT key FROM json_each(?) JOIN first_receipts ON job = ${JOB} WHERE receipt <> ${RECEIPT}`

/** Receipts that are not kept and may be. A node may send an erased one again long afterwards. */
export function takeFresh(
  rows: Rows,
  receipts: readonly ReadReceipt[],
  nowMs: number,
): ReadReceipt[] {
  const live = new Map(
    receipts.filter(({ untilMs }) => untilMs > nowMs).map((receipt) => [receipt.id, receipt]),
  )
  const each = [...live.values()]
  return chosen(each, rows(FRESH, JSON.stringify(each.map(({ id, job }) => [job, id]))))
}

const FRESH = `SELECT key FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE id = ${RECEIPT})
  AND NOT EXISTS (SELECT 1 FROM erased_jobs WHERE job = ${JOB}) ORDER BY key`

function chosen(receipts: readonly ReadReceipt[], keys: ReturnType<Rows>): ReadReceipt[] {
  return keys.flatMap((row) => receipts[Number(row['key'])] ?? [])
}
