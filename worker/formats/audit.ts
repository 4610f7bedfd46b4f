/** The audit API's words: queries, replies, and an entry as a line of an export. */
import { z } from 'zod'
import { AUDIT_TYPES, LogEntry, parseDetail } from '#shared/audit.ts'
import { Bytes32, JobId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { AskedJobId } from './asked-id.ts'

const Index = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

/** A time as milliseconds, as a date with its time, or as a date, which is its midnight. */
const Time = z.union(
  [
    z.coerce.number().int().min(0),
    z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
    z.iso.date().transform((text) => Date.parse(text)),
  ],
  'write a time as 2026-11-22, as 2026-11-22T18:00:00Z, or in milliseconds since 1970 (UTC)',
)

export const SearchQuery = z.object({
  type: z.enum(AUDIT_TYPES).optional(),
  job: AskedJobId.optional(),
  from: Time.optional(),
  to: Time.optional(),
  before: Index.optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.auditPageEntries).default(100),
})

export const InclusionQuery = z.object({ index: Index, size: Index })
export const ConsistencyQuery = z.object({ from: Index, to: Index })
export const BundleQuery = z.object({ from: Index.optional(), to: Index.optional() })
export const ExportQuery = z.object({
  format: z.enum(['jsonl', 'csv']).default('jsonl'),
  from: Index.default(0),
  to: Index.optional(),
})

export const EntriesReply = z.object({
  object: z.literal('list'),
  data: z.array(LogEntry),
  /** `before` of the next page. */
  next: z.int().nullable(),
})
export const CheckpointReply = z.object({
  /** Signed note, C2SP tlog-checkpoint. */
  checkpoint: z.string(),
  size: z.int(),
  root: Bytes32,
})
export const ProofReply = z.object({ proof: z.array(Bytes32) })
export const LogKeyReply = z.object({ algorithm: z.literal('Ed25519'), publicKey: Bytes32 })
export const ErasureReply = z.object({
  object: z.literal('erasure'),
  /** The id that `commitment` is of: the job's, or the batch's. */
  subject: z.string(),
  /** Of a single job. */
  jobId: JobId.optional(),
  /** Keep it: it opens `commitment`, which stands in the log, and is kept nowhere else. */
  salt: Bytes32,
  commitment: Bytes32,
  sequence: z.int(),
  /** Entries whose detail is gone, and receipts. */
  entries: z.array(z.int()),
  receipts: z.int(),
  /** Entries that the law keeps, and until when. */
  held: z.array(z.object({ sequence: z.int(), untilMs: z.int() })),
  entry: LogEntry,
  /** Both null where the deployment has no log key. */
  proof: z.array(Bytes32).nullable(),
  checkpoint: z.string().nullable(),
})

export type ErasureReply = z.infer<typeof ErasureReply>

export const BatchErasureReply = z.object({
  object: z.literal('batch_erasure'),
  batchId: z.string(),
  proofs: z.array(ErasureReply),
  /** Receipts that a hub has not handed over yet: ask again in a few seconds. */
  pending: z.array(Bytes32),
})
export type BatchErasureReply = z.infer<typeof BatchErasureReply>

const CSV_COLUMNS = ['sequence', 'time', 'type', 'job', 'detail', 'salt', 'commitment'] as const

export const CSV_HEAD = `${CSV_COLUMNS.join(',')}\r\n`

export function toJsonLine(entry: LogEntry): string {
  return `${JSON.stringify(entry)}\n`
}

/** RFC 4180. Every value that is not a number is quoted and starts with a letter, a digit or a brace, so no sheet runs it. */
export function toCsvLine(entry: LogEntry): string {
  const { sequence, atMs, type, commitment, opening } = entry
  const detail = opening === null ? undefined : parseDetail(type, opening.detail)
  const job = detail !== undefined && 'jobId' in detail ? (detail.jobId ?? '') : ''
  const cells = [
    new Date(atMs).toISOString(),
    type,
    job,
    detail === undefined ? '' : JSON.stringify(detail),
    opening?.salt ?? '',
    commitment,
  ]
  return `${sequence},${cells.map(quote).join(',')}\r\n`
}

export function quote(cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`
}
