/** What the Worker asks of a tenant's audit log, and what it is told. */
import { z } from 'zod'
import type { AuditDetail, AuditType, LogEntry } from '#shared/audit/entries.ts'
import type { BundleHead, BundleNarrowing, ProvenEntry } from '#shared/audit/bundle.ts'
import type { Domain } from '#shared/base/eip712.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { EVIDENCE_CLASSES, NODE_TRUSTS } from '#shared/law/policy.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'

/** A request that was refused, as the log tells it. */
export type Refusal = AuditDetail<'job.refused'>

/** A log as it stood, signed. */
export interface SignedCheckpoint {
  readonly note: string
  readonly size: number
  readonly root: Bytes32
}

export interface AuditQuery {
  readonly type?: AuditType | undefined
  readonly jobId?: string | undefined
  /** Entries of this time and later. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Entries before this one; newest first. */
  readonly before?: number | undefined
  readonly limit: number
}

export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly LogEntry[]
  /** What `before` is for the next page; null at the end. A page may be short of entries and not be the last. */
  readonly next: number | null
}

/** Entries from … up to, without the last. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** A place in the log, or the time that it is looked up by. */
export type LogPoint = { readonly sequence: number } | { readonly atMs: number }

/** What of the log is wanted; from its beginning, to its end, where that is null. `to` is the first entry that is left out, or a last time. */
export interface BundleQuery {
  readonly from: LogPoint | null
  readonly to: LogPoint | null
  readonly selection: BundleNarrowing
}

/** The head of a bundle, how long the log was when it was begun, and the leaves around its range. */
export interface BundleOpening extends Omit<BundleHead, 'domain' | 'settlesWithinMs'> {
  readonly domain: Domain
  readonly size: number
  readonly edges: readonly ProvenEntry[]
}

/** A part of a bundle that is begun: a few entries of its range, or those of its job. */
export interface BundlePage extends Stretch {
  readonly selection: BundleNarrowing
  /** Entries of the log that the proofs are of. */
  readonly size: number
}

/** Receipts of a page, without their salts: those open what an auditor need not see. */
export interface TenantJobs {
  readonly receipts: readonly SignedReceipt[]
  /** The records that the receipts' tickets name, as far as they are kept. */
  readonly evidence: readonly { readonly hash: Bytes32; readonly record: EvidenceRecord }[]
}

/** Jobs that were computed in one place under one policy, counted. */
export const Placement = z.strictObject({
  policy: z.string(),
  version: z.int(),
  country: z.int(),
  evidence: z.enum(EVIDENCE_CLASSES),
  trust: z.enum(NODE_TRUSTS),
  jobs: z.int(),
  firstAtMs: z.int(),
  lastAtMs: z.int(),
})
export type Placement = z.infer<typeof Placement>
