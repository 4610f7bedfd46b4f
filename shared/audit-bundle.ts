/** What an auditor is handed: entries of a tenant's log with their proofs, the receipts they speak of, and the batches these settled in. */
import { z } from 'zod'
import { LogEntry, TenantCheckpoint } from './audit.ts'
import { EvidenceRecord } from './evidence.ts'
import { Bytes32, TenantId } from './ids.ts'
import { LIMITS } from './limits.ts'
import { DomainSchema, Settlement, SignedReceipt } from './receipt.ts'

const Proof = z.array(Bytes32).max(64)

/** An entry, and its inclusion under the bundle's checkpoint. */
export const ProvenEntry = LogEntry.extend({ proof: Proof })
export type ProvenEntry = z.infer<typeof ProvenEntry>

/** A job as far as its receipt tells of it. */
export const BundledJob = z.strictObject({
  receipt: SignedReceipt,
  /** What the place was concluded from; null when the ticket names no record. */
  evidence: EvidenceRecord.nullable(),
  /** Null while it has not settled. */
  settlement: Settlement.nullable(),
})
export type BundledJob = z.infer<typeof BundledJob>

/** Where the log stood when a batch was posted, and that the log of the bundle goes on from there. */
export const BundledBatch = z.strictObject({
  batchId: z.int().min(1),
  logRoot: Bytes32,
  checkpoint: TenantCheckpoint,
  /** From the checkpoint's leaf up to the batch's log root. */
  proof: Proof,
  /** From the checkpoint's size to the bundle's. */
  consistency: Proof,
})
export type BundledBatch = z.infer<typeof BundledBatch>

export const AuditBundle = z.strictObject({
  version: z.literal(1),
  tenant: TenantId,
  domain: DomainSchema,
  /** Signed note: C2SP tlog-checkpoint. */
  checkpoint: z.string().max(4_096),
  /** In the order of the log. */
  entries: z.array(ProvenEntry).min(1).max(LIMITS.auditBundleEntries),
  jobs: z.array(BundledJob).max(LIMITS.auditBundleEntries),
  batches: z.array(BundledBatch).max(LIMITS.auditBundleEntries),
})
export type AuditBundle = z.infer<typeof AuditBundle>
