/** Calls of the Worker and the hubs to a Tenant by RPC: plain JSON both ways. */
import { z } from 'zod'
import {
  SCOPES,
  type CreatedKeyReply,
  type KeyReply,
  type RotatedKeyReply,
  type Scope,
} from '#shared/api/keys.ts'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { Address, TenantId, type Bytes32, type JobId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { NetworkId, type CompiledPolicy, type Policy } from '#shared/law/policy.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { Placement, TenantBundles, TenantLog } from './audit.ts'
import type { TenantBatches } from './batch.ts'
import type { TenantIdempotency } from './idempotency.ts'
import type { TenantQuota } from './quota.ts'
import { invariant } from '#shared/base/errors.ts'

/** Age up to which a cached answer about a key or a tenant is used. */
export const AUTH_CACHE_MS = 10_000
const KEY_NAME_CHARACTERS = 64
/** An isolate reports the use of a key at most once in this time. */
export const KEY_USE_REPORT_MS = 60_000
/** Longest time that the old secret still works after a rotation. */
export const KEY_OVERLAP_MS = 3_600_000
invariant(
  AUTH_CACHE_MS < KEY_OVERLAP_MS,
  'Every isolate learns of a rotation before the old secret ends.',
)

const KeyName = z
  .string()
  .max(KEY_NAME_CHARACTERS)
  .regex(/^[^\p{C}\p{Z}]*(?: [^\p{C}\p{Z}]+)*$/u, 'words with one space between them, in one line')

export const KeyRequest = z.strictObject({
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).default(['infer']),
  /** Consortia of the nodes that a `node` key vouches for. An `admin` key may pass on those that it has. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks).default([]),
  name: KeyName.default(''),
  /** The key is refused from then on; null: it lives until it is revoked. */
  expiresAtMs: z.int().min(0).nullable().default(null),
})
export type KeyRequest = z.input<typeof KeyRequest>

export type KeyTerms = z.output<typeof KeyRequest>

export const KeyRotation = z.strictObject({
  /** Time that the former secret stays valid. @default 0 */
  overlapSeconds: z
    .int()
    .min(0)
    .max(KEY_OVERLAP_MS / 1000)
    .default(0),
})

/** A key that the operator asks for. */
export const NewKey = KeyRequest.extend({
  tenant: TenantId,
  /** The on-chain account that pays for the tenant's jobs; unchanged when absent. */
  consumer: Address.optional(),
})
export type NewKey = z.input<typeof NewKey>

/** A key without its secret. */
export type KeyInfo = KeyReply
/** The secret is in no other answer; only its hash is kept. */
export type CreatedKey = Omit<CreatedKeyReply, 'tenant'>
export type RotatedKey = Omit<z.infer<typeof RotatedKeyReply>, 'tenant'>

export interface KeyChange {
  readonly by: string
  readonly id: string
}

/** A secret that is valid now. */
export interface LiveKey {
  readonly id: string
  /** sha-256 of the whole key. */
  readonly hash: Bytes32
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  /** When this secret ends, by rotation or expiry; null when neither is set. */
  readonly untilMs: number | null
}

export interface PublishedPolicy {
  readonly policy: Policy
  readonly compiled: CompiledPolicy
  readonly publishedAtMs: number
  /** When the policy was retired; null while it takes new jobs. */
  readonly retiredAtMs: number | null
}

/** The tenant's state that the Worker needs for a request; isolates cache it for AUTH_CACHE_MS. */
export interface TenantSnapshot {
  readonly tenant: TenantId
  readonly keys: readonly LiveKey[]
  /** The newest version of each policy that takes jobs. */
  readonly policies: readonly PublishedPolicy[]
  readonly retiredPolicies: readonly { readonly id: string; readonly retiredAtMs: number }[]
  readonly defaultPolicyId: string
  readonly consumer: Address | null
}

/** A receipt with the salt that opens its commitments. */
export interface RecordedReceipt {
  readonly receipt: SignedReceipt
  readonly salt: Bytes32
}

/** What a hub needs to know of a group that the tenant has recorded. */
export interface RecordedGroup {
  /** Receipts whose job has an earlier one: a job is paid once. */
  readonly later: readonly Bytes32[]
  /** The account that pays where a receipt names none; null where the tenant has none either. */
  readonly consumer: Address | null
}

/** The result of erasing a job or a batch's jobs, with the proof. */
export interface Erased {
  /** The id that `commitment` commits to. */
  readonly subject: string
  /** Opens the commitment in the log's entry; it is kept nowhere else. */
  readonly salt: Bytes32
  /** sha256(salt ‖ sha256(subject)), as in the log. */
  readonly commitment: Bytes32
  /** The entry that proves the erasure. */
  readonly sequence: number
  readonly entries: readonly number[]
  readonly receipts: number
  /** Entries that the law keeps (HIPAA), and until when. */
  readonly held: readonly { readonly sequence: number; readonly untilMs: number }[]
}

/** The facts behind the record of processing activities. */
export interface RopaFacts {
  readonly policies: readonly PublishedPolicy[]
  readonly placements: readonly Placement[]
  readonly logSize: number
}

/** The operator's access to a tenant's keys. */
export interface TenantKeys {
  /** Creates the tenant with its first key. @throws {AppError} invalid_request for an expiry that has passed, too_large over the limit of keys */
  create(request: NewKey): Promise<CreatedKey>
  /** @throws {AppError} not_found */
  revoke(id: string): KeyInfo
  /** Live and ended keys; empty for a tenant that does not exist. */
  list(): KeyInfo[]
  /** Notes when an isolate last saw a key used. It is not logged: it does not change what the key may do. */
  noteUse(id: string, atMs: number): void
}

/** An admin key's access to its tenant's keys. @throws {AppError} forbidden for what the asking key lacks */
export interface TenantOwnKeys {
  /** @param by the key that asks. @throws {AppError} too_large */
  create(by: string, request: KeyRequest): Promise<CreatedKey>
  /** @throws {AppError} not_found */
  rotate(change: KeyChange, overlapMs: number): Promise<RotatedKey>
  /** @throws {AppError} not_found; invalid_request for the last admin key unless `lastAdmin` is true */
  revoke(change: KeyChange, lastAdmin: boolean): KeyInfo
}

/** In each method `by` is the key that asks, for the log. */
export interface TenantPolicies {
  /** Publishes the next version. Publishing the same content again returns the same version. */
  publish(policy: Policy, by?: string): PublishedPolicy
  /** New jobs are refused from now on; published versions stay readable. @throws {AppError} not_found; invalid_request for the default */
  retire(id: string, by?: string): PublishedPolicy
  /** @throws {AppError} not_found */
  setDefault(id: string, by?: string): void
  /** The newest version of each policy, retired ones included. */
  all(): PublishedPolicy[]
  /** Null for a version that was never published. */
  version(id: string, version: number): PublishedPolicy | null
  /** Newest first; empty for an unknown policy. */
  versions(id: string): PublishedPolicy[]
}

export interface TenantReceipts {
  /**
   * Records a group of this tenant's receipts, all or none. Idempotent by receipt id, because hubs deliver at least once.
   * @throws {AppError} not_found before the tenant exists, forbidden for another tenant's receipt, invalid_request for a
   * receipt whose bytes are not canonical, or whose policy or presence record is not in the group
   */
  record(group: ReceiptGroup): RecordedGroup
  find(id: Bytes32): RecordedReceipt | null
  /** @throws {AppError} not_found */
  erase(jobId: JobId, by: string | null): Erased
  /** Erases the jobs of these receipts as one subject; null when none of them is kept here. */
  eraseReceipts(subject: string, ids: readonly Bytes32[], by: string | null): Erased | null
}

/** The methods of the Tenant Durable Object, room by room. */
export interface TenantObject {
  /** Null for a tenant that does not exist. */
  snapshot(): TenantSnapshot | null
  /** @throws {AppError} not_found */
  ropaFacts(): RopaFacts
  readonly keys: TenantKeys
  readonly ownKeys: TenantOwnKeys
  readonly policies: TenantPolicies
  readonly receipts: TenantReceipts
  readonly log: TenantLog
  readonly bundles: TenantBundles
  readonly idempotency: TenantIdempotency
  readonly quota: TenantQuota
  readonly batches: TenantBatches
}

/** An object as its callers see it: a method of a room (`tenant.keys.list()`) is one RPC call. */
export type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (...given: infer A) => infer R
    ? (...given: A) => Promise<Awaited<R>>
    : Remote<T[K]>
}

export type TenantApi = Remote<TenantObject>
