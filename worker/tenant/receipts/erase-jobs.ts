/** Erases data about jobs (receipts with their salts, details of entries) and logs the erasure. */
import { stringToBytes, toHex } from 'viem'
import { receiptIdOf } from '#shared/audit/entries.ts'
import { AppError } from '#shared/base/errors.ts'
import { nameHash, type JobId } from '#shared/base/ids.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'
import { commitment } from '#shared/receipt/receipt.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import type { Erased } from '#worker/protocols/tenant.ts'
import { deleteReceipts } from './receipt-rows.ts'

/** A late receipt of an erased job is dropped for this long. */
const ERASURE_MEMORY_MS = 30 * 86_400_000

export interface ErasureRequest {
  /** The id that the log's entry commits to: the job's, or that of the batch of these jobs. */
  readonly subject: string
  readonly jobIds: readonly JobId[]
  readonly by: string | null
}

/** Erases in one transaction, with one entry. @throws {AppError} not_found when nothing may be erased */
export function eraseJobs(
  { subject, jobIds, by }: ErasureRequest,
  database: TenantDatabase,
  { nowMs, random }: Pick<TenantDeps, 'nowMs' | 'random'>,
): Erased {
  const { rows, transaction, audit } = database
  const known = jobIds.flatMap((jobId) => audit.ofJob(jobId))
  const held = known.flatMap(({ entry, heldUntilMs }) =>
    heldUntilMs === null ? [] : [{ sequence: entry.sequence, untilMs: heldUntilMs }],
  )
  const entries = known.flatMap(({ entry, heldUntilMs }) =>
    heldUntilMs === null ? [entry.sequence] : [],
  )
  const salt = toHex(random(32))
  const job = commitment(salt, sha256Hex(stringToBytes(subject)))
  return transaction(() => {
    const ids = known.flatMap(({ entry }) => receiptIdOf(entry) ?? [])
    const receipts = deleteReceipts(rows, ids)
    if (entries.length + receipts === 0)
      throw new AppError('not_found', `Nothing is kept of ${subject} that may be erased.`)
    audit.erase(entries)
    const untilMs = nowMs() + ERASURE_MEMORY_MS
    rows(REMEMBER, untilMs, JSON.stringify(jobIds.map(nameHash)))
    const detail = { job, entries, receipts, by }
    const sequence = audit.append([{ type: 'job.erased', detail, untilMs: null }])
    return { subject, salt, commitment: job, sequence, entries, receipts, held }
  })
}

const REMEMBER = `INSERT OR REPLACE INTO erased_jobs (job, until_ms)
  SELECT unhex(substr(value, 3)), ? FROM json_each(?)`
