/** What an auditor is handed: entries of a tenant's log with their proofs, the receipts they speak of, and the batches these settled in. */
import { z } from 'zod'
import { AUDIT_TYPES, LogEntry, TenantCheckpoint } from './entries.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import { Domain } from '#shared/base/eip712.ts'
import { Bytes32, JobId, TenantId } from '#shared/base/ids.ts'
import { Policy, PolicyId } from '#shared/law/policy.ts'
import { Settlement, SignedReceipt } from '#shared/receipt/receipt.ts'

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

/** Entries from … up to, without the last. */
const LogRange = z.strictObject({ from: z.int().min(0), to: z.int().min(0) })

/** What a bundle was narrowed to; each null where it was not. Other entries of its range are there as leaves, without their detail. */
export const BundleNarrowing = z.strictObject({
  /** Entries of this time and later: then the range says where that begins. */
  fromMs: z.int().min(0).nullable(),
  toMs: z.int().min(0).nullable(),
  policy: PolicyId.nullable(),
  type: z.enum(AUDIT_TYPES).nullable(),
  /** Its entries alone: such a bundle says nothing of the rest of the log. */
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

/** A version of a policy as it was published: what its hash is computed from. */
export const BundledPolicy = z.strictObject({ version: z.int().min(1), policy: Policy })
export type BundledPolicy = z.infer<typeof BundledPolicy>

/** What stands before the lists. A bundle is one JSON document, and is written and read in the order of these members. */
export const BundleHead = z.strictObject({
  version: z.literal(2),
  tenant: TenantId,
  /** Null where the deployment settles on no chain. */
  domain: Domain.nullable(),
  /** Signed note: C2SP tlog-checkpoint. */
  checkpoint: z.string().max(4_096),
  /** The part of the log that the bundle is of. */
  range: LogRange,
  selection: BundleNarrowing,
  /** How long after its end a job should be on the chain, as the deployment says; null without a chain. */
  settlesWithinMs: z.int().min(0).nullable(),
})
export type BundleHead = z.infer<typeof BundleHead>

/** The lists, each in the order in which it stands. */
export const BUNDLE_LISTS = {
  /** Each that a job of the bundle names. */
  policies: BundledPolicy,
  /** Where a time was asked for: the entries just before and after the range, as leaves; they show that it is all of that time. */
  edges: ProvenEntry,
  /** In the order of the log. */
  entries: ProvenEntry,
  /** Later entries of the log that say which details of this range were erased. */
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
