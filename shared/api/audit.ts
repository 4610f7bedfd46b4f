/** The audit log and erasures as the API shows them. */
import { z } from 'zod'
import { LogEntry } from '#shared/audit/entries.ts'
import { Bytes32, JobId } from '#shared/base/ids.ts'

export const EntriesReply = z.object({
  object: z.literal('list'),
  data: z.array(LogEntry),
  /** `before` of the next page. */
  next: z.int().nullable(),
})
export type EntriesReply = z.infer<typeof EntriesReply>

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
  /** The committed id: the job's, or the batch's. */
  subject: z.string(),
  /** Set for a single job. */
  jobId: JobId.optional(),
  /** Keep the salt: it opens `commitment` in the log, and is stored nowhere else. */
  salt: Bytes32,
  commitment: Bytes32,
  sequence: z.int(),
  /** Entries whose details were erased. */
  entries: z.array(z.int()),
  receipts: z.int(),
  /** Entries that must be kept by law, and until when. */
  held: z.array(z.object({ sequence: z.int(), untilMs: z.int() })),
  entry: LogEntry,
  /** `proof` and `checkpoint` are null where the deployment has no log key. */
  proof: z.array(Bytes32).nullable(),
  checkpoint: z.string().nullable(),
})
export type ErasureReply = z.infer<typeof ErasureReply>

export const BatchErasureReply = z.object({
  object: z.literal('batch_erasure'),
  batchId: z.string(),
  proofs: z.array(ErasureReply),
  /** Receipts that a hub has not delivered yet; ask again in a few seconds. */
  pending: z.array(Bytes32),
})
export type BatchErasureReply = z.infer<typeof BatchErasureReply>
