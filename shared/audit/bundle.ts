/** A bundle for an auditor: log entries with proofs, the receipts that they name, and the settlement batches of these. */
import { z } from 'zod'
import { AUDIT_TYPES, LogEntry, TenantCheckpoint } from './entries.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import { Domain } from '#shared/proof/domain.ts'
import { Bytes32, JobId, TenantId } from '#shared/base/ids.ts'
import { Policy, PolicyId } from '#shared/law/policy.ts'
import { Settlement, SignedReceipt } from '#shared/receipt/receipt.ts'

const Proof = z.array(Bytes32).max(64)

/** An entry with the proof that it is under the bundle's checkpoint. */
export const ProvenEntry = LogEntry.extend({ proof: Proof })
export type ProvenEntry = z.infer<typeof ProvenEntry>

export const BundledJob = z.strictObject({
  receipt: SignedReceipt,
  /** Evidence of the place; null when the ticket names no record. */
  evidence: EvidenceRecord.nullable(),
  settlement: Settlement.nullable(),
})
export type BundledJob = z.infer<typeof BundledJob>

/** The log's state when a batch was posted, and the proof that the bundle's log continues it. */
export const BundledBatch = z.strictObject({
  batchId: z.int().min(1),
  logRoot: Bytes32,
  checkpoint: TenantCheckpoint,
  /** From the checkpoint's leaf up to the batch's log root. */
  proof: Proof,
  /** From the checkpoint's size to the bundle's size. */
  consistency: Proof,
})
export type BundledBatch = z.infer<typeof BundledBatch>

/** Entries `from` up to but not including `to`. */
const LogRange = z.strictObject({ from: z.int().min(0), to: z.int().min(0) })

/** The filter of the bundle; null where it has none. Other entries of the range are leaves without detail. */
export const BundleNarrowing = z.strictObject({
  /** Entries from this time on; the range then says where it begins. */
  fromMs: z.int().min(0).nullable(),
  toMs: z.int().min(0).nullable(),
  policy: PolicyId.nullable(),
  type: z.enum(AUDIT_TYPES).nullable(),
  /** Only the entries of this job: such a bundle says nothing about the rest of the log. */
  job: JobId.nullable(),
})
export type BundleNarrowing = z.infer<typeof BundleNarrowing>

export const NOT_NARROWED: BundleNarrowing = {
  fromMs: null,
  toMs: null,
  policy: null,
  type: null,
  job: null,
}

/** A policy version as it was published; its hash is computed from this. */
export const BundledPolicy = z.strictObject({ version: z.int().min(1), policy: Policy })
export type BundledPolicy = z.infer<typeof BundledPolicy>

/** The members before the lists. A bundle is one JSON document, written and read in the order of these members. */
export const BundleHead = z.strictObject({
  version: z.literal(2),
  tenant: TenantId,
  /** Null where the deployment settles on no chain. */
  domain: Domain.nullable(),
  /** Signed note: C2SP tlog-checkpoint. */
  checkpoint: z.string().max(4_096),
  range: LogRange,
  selection: BundleNarrowing,
  /** Time from a job's end to its settlement, as the deployment promises; null without a chain. */
  settlesWithinMs: z.int().min(0).nullable(),
})
export type BundleHead = z.infer<typeof BundleHead>

/** The lists, in the order of the document. */
export const BUNDLE_LISTS = {
  /** Every policy that a job of the bundle names. */
  policies: BundledPolicy,
  /** For a range of time: the entries just before and after it, as leaves. They show that the range is complete. */
  edges: ProvenEntry,
  entries: ProvenEntry,
  /** Later entries that say which details of this range were erased. */
  erasures: ProvenEntry,
  jobs: BundledJob,
  batches: BundledBatch,
} as const
export type BundleList = keyof typeof BUNDLE_LISTS

export const AuditBundle = BundleHead.extend({
  policies: z.array(BUNDLE_LISTS.policies),
  edges: z.array(BUNDLE_LISTS.edges).max(2),
  entries: z.array(BUNDLE_LISTS.entries),
  erasures: z.array(BUNDLE_LISTS.erasures),
  jobs: z.array(BUNDLE_LISTS.jobs),
  batches: z.array(BUNDLE_LISTS.batches),
})
export type AuditBundle = z.infer<typeof AuditBundle>
