/** Calls and answers between the Worker and a tenant's audit log. */
import { z } from 'zod'
import type { AuditDetail, AuditType, LogEntry, LogProgress } from '#shared/audit/entries.ts'
import type {
  BundledPolicy,
  BundleHead,
  BundleNarrowing,
  ProvenEntry,
} from '#shared/audit/bundle.ts'
import type { Domain } from '#shared/proof/domain.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { EVIDENCE_CLASSES, NODE_TRUSTS } from '#shared/law/policy.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { invariant } from '#shared/base/errors.ts'

/** Entries of one page. */
export const AUDIT_PAGE_ENTRIES = 500
/** Entries, jobs or settlement batches of a bundle that are in memory at once. */
export const AUDIT_BUNDLE_PAGE = 250
/** Kinds of refusals that an isolate collects for one tenant. */
export const AUDIT_REFUSAL_KINDS = 64
invariant(AUDIT_BUNDLE_PAGE <= AUDIT_PAGE_ENTRIES, 'A page of a bundle is a page of the log.')

/** A refused request, as in the log. */
export type Refusal = AuditDetail<'job.refused'>

/** The state of a log, signed. */
export interface SignedCheckpoint {
  readonly note: string
  readonly size: number
  readonly root: Bytes32
}

export interface AuditQuery {
  readonly type?: AuditType | undefined
  readonly jobId?: string | undefined
  /** Inclusive. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Only entries with a lower sequence. */
  readonly before?: number | undefined
  readonly limit: number
}

export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly LogEntry[]
  /** `before` of the next page; null at the end. A page with few entries is not always the last. */
  readonly next: number | null
}

/** Entries `from` (included) to `to` (excluded). */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** A position in the log, or a time that leads to one. */
export type LogPoint = { readonly sequence: number } | { readonly atMs: number }

/** The wanted part of the log. Null means the beginning or the end; `to` is the first entry left out, or the last time taken. */
export interface BundleQuery {
  readonly from: LogPoint | null
  readonly to: LogPoint | null
  readonly selection: BundleNarrowing
}

/** The head of a bundle, the log's size when the bundle was begun, and the leaves around its range. */
export interface BundleOpening extends Omit<BundleHead, 'domain' | 'settlesWithinMs'> {
  readonly domain: Domain
  readonly size: number
  readonly edges: readonly ProvenEntry[]
}

/** One page of a bundle: some entries of its range, or those of its job. */
export interface BundlePage extends Stretch {
  readonly selection: BundleNarrowing
  /** Size of the log that the proofs refer to. */
  readonly size: number
}

/** Receipts of a page. Their salts are left out: they open data that an auditor need not see. */
export interface TenantJobs {
  readonly receipts: readonly SignedReceipt[]
  /** The records named by the receipts' tickets, where they are still kept. */
  readonly evidence: readonly { readonly hash: Bytes32; readonly record: EvidenceRecord }[]
}

/** The number of jobs computed in one place under one policy. */
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

/** A tenant's audit log. */
export interface TenantLog {
  /** Null for a tenant that does not exist. @param since the size that the caller last saw */
  head(since?: number): LogProgress | null
  /** @throws {AppError} forbidden when the deployment has no log key */
  checkpoint(): Promise<SignedCheckpoint>
  search(query: AuditQuery): AuditPage
  /** @throws {AppError} invalid_request when the leaf is not in the log */
  inclusion(leaf: { readonly index: number; readonly size: number }): Bytes32[]
  /** @throws {AppError} invalid_request when the log has not reached that size */
  consistency(sizes: Stretch): Bytes32[]
  recordExport(detail: AuditDetail<'audit.exported'>): void
  recordRefusals(refusals: readonly Refusal[]): void
}

/** A tenant's part of bundles and exports. */
export interface TenantBundles {
  /** Finds the range of an export. @throws {AppError} invalid_request */
  cut(query: Pick<BundleQuery, 'from' | 'to'>): Stretch
  /** The entries of the page that the selection takes; the page is at most AUDIT_PAGE_ENTRIES long. */
  selected(page: BundlePage): LogEntry[]
  /** @throws {AppError} not_found, invalid_request, forbidden when the deployment has no log key */
  open(query: BundleQuery): Promise<BundleOpening>
  /** The policy versions that the page's jobs name. */
  policies(page: BundlePage): BundledPolicy[]
  /** All entries of the page. Those outside the selection come without their detail, except erasures, which explain other entries. */
  entries(page: BundlePage): ProvenEntry[]
  /** Entries of the page that record an erasure in the range. */
  erasures(page: BundlePage, range: Stretch): ProvenEntry[]
  /** The receipts of the placements that are open in the page, in their order. */
  jobs(page: BundlePage): TenantJobs
  /** Proves that the log of size `to` extends each of these sizes; at most AUDIT_BUNDLE_PAGE of them. @throws {AppError} invalid_request */
  consistency(from: readonly number[], to: number): Bytes32[][]
}
