/** What the Worker and the hubs say to a Tenant by RPC: plain JSON both ways. */
import { z } from 'zod'
import { SCOPES, type Scope } from '#shared/api/keys.ts'
import type { AuditDetail, LogEntry, LogProgress } from '#shared/audit/entries.ts'
import type { BundledPolicy, ProvenEntry } from '#shared/audit/bundle.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import { Address, TenantId, type Bytes32, type JobId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { NetworkId, type CompiledPolicy, type Policy } from '#shared/law/policy.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { BatchId, BatchEntry, BatchPlace } from './batch.ts'
import type {
  IdempotencyHold,
  IdempotencyVerdict,
  IdempotentRequest,
  KeptAnswer,
} from './idempotency.ts'
import type { QuotaChange, QuotaLease, QuotaState, SpendLease } from './quota.ts'
import type {
  AuditPage,
  AuditQuery,
  BundleOpening,
  BundlePage,
  BundleQuery,
  Placement,
  SignedCheckpoint,
  Stretch,
  TenantJobs,
} from './audit.ts'

/** One line that can be read. */
const KeyName = z
  .string()
  .max(LIMITS.keyNameCharacters)
  .regex(/^[^\p{C}\p{Z}]*(?: [^\p{C}\p{Z}]+)*$/u, 'words with one space between them, in one line')

/** What a new key is to do. */
export const KeyRequest = z.strictObject({
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).default(['infer']),
  /** Consortia of the nodes that a key of scope `node` vouches for; an `admin` key with them may pass them on. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks).default([]),
  /** What its owner calls it. */
  name: KeyName.default(''),
  /** From then on it is not taken any more; null for one that lives until it is revoked. */
  expiresAtMs: z.int().min(0).nullable().default(null),
})
export type KeyRequest = z.input<typeof KeyRequest>

/** A key's request with nothing left open. */
export type KeyTerms = z.output<typeof KeyRequest>

export const KeyRotation = z.strictObject({
  /** How long the secret before is still taken. @default 0 */
  overlapSeconds: z
    .int()
    .min(0)
    .max(LIMITS.keyOverlapMs / 1000)
    .default(0),
})

/** A key as the operator asks for it. */
export const NewKey = KeyRequest.extend({
  tenant: TenantId,
  /** The on-chain account that pays for the tenant's jobs; left as it is when absent. */
  consumer: Address.optional(),
})
export type NewKey = z.input<typeof NewKey>

/** A key without its secret. */
export interface KeyInfo {
  /** `key_<tenant>_<12 hex>` */
  readonly id: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
  /** To LIMITS.keyUseReportMs; null for one that was never used. */
  readonly lastUsedAtMs: number | null
}

export interface CreatedKey extends KeyInfo {
  /** Shown once; only its hash is kept. */
  readonly key: string
}

export interface RotatedKey extends CreatedKey {
  /** Until when the secret before is still taken; null when it is not any more. */
  readonly formerUntilMs: number | null
}

/** Which key of the tenant wants something done to another. */
export interface KeyChange {
  readonly by: string
  readonly id: string
}

/** What a presented key is compared with. */
export interface LiveKey {
  readonly id: string
  /** sha-256 of the whole key. */
  readonly hash: Bytes32
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  /** When this secret ends, because another takes its place or the key expires; null where neither does. */
  readonly untilMs: number | null
}

export interface PublishedPolicy {
  readonly policy: Policy
  readonly compiled: CompiledPolicy
  readonly publishedAtMs: number
  /** Since when the policy, in all its versions, takes no new jobs; null while it takes them. */
  readonly retiredAtMs: number | null
}

/** All that the Worker needs to answer a tenant's request, cached in the isolate for LIMITS.authCacheMs. */
export interface TenantSnapshot {
  readonly tenant: TenantId
  readonly keys: readonly LiveKey[]
  /** The newest version of each that takes jobs. */
  readonly policies: readonly PublishedPolicy[]
  readonly retiredPolicies: readonly { readonly id: string; readonly retiredAtMs: number }[]
  readonly defaultPolicyId: string
  readonly consumer: Address | null
}

/** A receipt as the hub hands it over, with the salt that opens its commitments. */
export interface RecordedReceipt {
  readonly receipt: SignedReceipt
  readonly salt: Bytes32
  /** What its place was concluded from, where the ticket names a record. */
  readonly evidence?: EvidenceRecord | null
}

/** What was erased of a job, or of a batch's jobs, and what proves it. */
export interface Erased {
  /** The id that `commitment` is of. */
  readonly subject: string
  /** Opens the commitment in the log's entry: kept nowhere else. */
  readonly salt: Bytes32
  /** sha256(salt ‖ sha256(subject)), as it stands in the log. */
  readonly commitment: Bytes32
  /** The entry that proves the erasure. */
  readonly sequence: number
  readonly entries: readonly number[]
  readonly receipts: number
  /** Entries that the law keeps (HIPAA), and until when. */
  readonly held: readonly { readonly sequence: number; readonly untilMs: number }[]
}

/** What the record of processing activities is made of. */
export interface RopaFacts {
  readonly policies: readonly PublishedPolicy[]
  readonly placements: readonly Placement[]
  readonly logSize: number
}

/** The Tenant's RPC methods. */
export interface TenantApi {
  /** Null for a tenant that nobody has made. */
  snapshot(): Promise<TenantSnapshot | null>
  /** Makes the tenant with its first key. @throws {AppError} too_large over the bound of keys */
  createKey(request: NewKey): Promise<CreatedKey>
  /** @throws {AppError} not_found */
  revokeKey(id: string): Promise<KeyInfo>
  /** The same by one of the tenant's own keys. @throws {AppError} forbidden for what that key lacks, too_large */
  createOwnKey(by: string, request: KeyRequest): Promise<CreatedKey>
  /** @throws {AppError} not_found, forbidden for a key that can do more than the one that asks */
  rotateOwnKey(change: KeyChange, overlapMs: number): Promise<RotatedKey>
  /** @throws {AppError} not_found, invalid_request for the last admin key unless `lastAdmin` says that it is meant */
  revokeOwnKey(change: KeyChange, lastAdmin: boolean): Promise<KeyInfo>
  listKeys(): Promise<KeyInfo[]>
  /** What isolates saw of a key; a time before the last known one changes nothing. */
  noteKeyUse(id: string, atMs: number): Promise<void>
  /** The next immutable version; the same content again is the same version. @param by the key, for the log */
  publishPolicy(policy: Policy, by?: string): Promise<PublishedPolicy>
  /** New jobs are refused from then on; what was published stays to be read. @throws {AppError} not_found, invalid_request for the default */
  retirePolicy(id: string, by?: string): Promise<PublishedPolicy>
  /** The newest version of each, retired ones too. */
  allPolicies(): Promise<PublishedPolicy[]>
  /** Null for a version that was never published. */
  policyVersion(id: string, version: number): Promise<PublishedPolicy | null>
  /** Newest first; empty for a policy that there is not. */
  policyVersions(id: string): Promise<PublishedPolicy[]>
  /** @throws {AppError} not_found */
  setDefaultPolicy(id: string, by?: string): Promise<void>
  /** Idempotent by receipt id. @returns the ids of those whose job has an earlier receipt: a job is paid once, at whatever hub */
  recordReceipts(receipts: readonly RecordedReceipt[]): Promise<readonly Bytes32[]>
  receipt(id: Bytes32): Promise<RecordedReceipt | null>
  /** Resolves once this caller may run the request, or has its answer: that may take LIMITS.idempotencyWaitMs. */
  beginIdempotent(request: IdempotentRequest): Promise<IdempotencyVerdict>
  /** False when somebody else has taken the key meanwhile. */
  completeIdempotent(hold: IdempotencyHold, answer: KeptAnswer): Promise<boolean>
  releaseIdempotent(hold: IdempotencyHold, isBegun: boolean): Promise<void>
  leaseRequests(): Promise<QuotaLease>
  /** @param wantedMicroUsd at least this much, or nothing */
  leaseSpend(wantedMicroUsd: number): Promise<SpendLease>
  quota(): Promise<QuotaState>
  /** @throws {AppError} rate_limited when the tenant keeps as many, or as much, as it may */
  addBatch(id: BatchId, place: BatchPlace): Promise<void>
  /** What an ended batch comes to, where that is less than was put aside. */
  resizeBatch(id: BatchId, sizeBytes: number): Promise<void>
  forgetBatch(id: BatchId): Promise<void>
  /** Newest first. */
  listBatches(): Promise<BatchEntry[]>
  /** The audit log as it stands; null for a tenant that nobody has made. @param since a size that the caller has seen */
  logCheckpoint(since?: number): Promise<LogProgress | null>
  /** @throws {AppError} forbidden where the deployment has no log key */
  signedCheckpoint(): Promise<SignedCheckpoint>
  auditSearch(query: AuditQuery): Promise<AuditPage>
  /** Where an export is to be cut. @throws {AppError} invalid_request */
  auditCut(query: Pick<BundleQuery, 'from' | 'to'>): Promise<Stretch>
  /** Of at most LIMITS.auditPageEntries entries those that the selection takes. */
  auditSelected(page: BundlePage): Promise<LogEntry[]>
  /** @throws {AppError} invalid_request for what is not in the log */
  auditInclusion(leaf: { readonly index: number; readonly size: number }): Promise<Bytes32[]>
  /** @throws {AppError} invalid_request for sizes that the log does not have */
  auditConsistency(sizes: { readonly from: number; readonly to: number }): Promise<Bytes32[]>
  /** @throws {AppError} not_found, invalid_request, forbidden where the deployment has no log key */
  openBundle(query: BundleQuery): Promise<BundleOpening>
  bundlePolicies(page: BundlePage): Promise<BundledPolicy[]>
  bundleEntries(page: BundlePage): Promise<ProvenEntry[]>
  bundleErasures(page: BundlePage, range: Stretch): Promise<ProvenEntry[]>
  bundleJobs(page: BundlePage): Promise<TenantJobs>
  /** That the log of that size goes on from each of these, which are a page at most. */
  bundleConsistency(from: readonly number[], to: number): Promise<Bytes32[][]>
  /** Logs an export. */
  recordExport(detail: AuditDetail<'audit.exported'>): Promise<void>
  recordRefusals(refusals: readonly AuditDetail<'job.refused'>[]): Promise<void>
  /** @throws {AppError} not_found */
  eraseJob(jobId: JobId, by: string | null): Promise<Erased>
  /** The jobs of these receipts; null when none of them is kept here. */
  eraseReceipts(subject: string, ids: readonly Bytes32[], by: string | null): Promise<Erased | null>
  /** @throws {AppError} not_found */
  ropaFacts(): Promise<RopaFacts>
  /** @throws {AppError} not_found */
  setQuota(change: QuotaChange): Promise<QuotaState>
}
