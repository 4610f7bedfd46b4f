/**
 * What a tenant's audit log holds. An entry's leaf commits to its detail under a salt of its own: once salt and detail
 * are erased the leaf says when what kind of thing happened, and links to nobody.
 */
import { concatBytes, hexToBytes, stringToBytes } from 'viem'
import { z } from 'zod'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { Bytes32, JobId, nameHash, NodeId } from '#shared/base/ids.ts'
import { structHash, type Domain } from '#shared/base/eip712.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { PolicyId } from '#shared/law/policy.ts'
import { Place } from '#shared/receipt/receipt.ts'
import { sha256Bytes, sha256Hex } from '#shared/base/native-crypto.ts'

const KeyId = z.string().max(64)
const Count = z.int().min(0)

/** A change that somebody made to the tenant itself. */
const Change = z.strictObject({
  /** What was changed: `eu-only@3`, `key_acme_0123456789ab`. */
  subject: z.string().max(512),
  /** Of the policy version that it is about. */
  policyHash: Bytes32.nullable(),
  /** The key that did it; `operator` for the deployment's own. */
  by: KeyId.nullable(),
})

const DETAILS = {
  /** A job got its ticket. */
  'job.admitted': z.strictObject({
    jobId: JobId,
    attempt: z.int().min(1),
    policyId: PolicyId,
    policyVersion: z.int().min(1),
    policyHash: Bytes32,
    /** The policy's compute set, narrowed by the request. */
    allowed: Bytes32,
    atMs: z.int(),
  }),
  /** It was computed there, on this evidence; all of it stands in the receipt, too. */
  'job.placed': z.strictObject({
    jobId: JobId,
    receiptId: Bytes32,
    hub: z.string().max(64),
    nodeId: NodeId,
    place: Place,
    finishedAtMs: z.int(),
    /** When the receipt itself is erased. */
    receiptUntilMs: z.int(),
  }),
  /** One refusal, or several of the same kind that came close together. */
  'job.refused': z.strictObject({
    jobId: JobId.nullable(),
    by: KeyId.nullable(),
    code: z.string().max(64),
    rule: z.string().max(64).nullable(),
    policyId: PolicyId.nullable(),
    count: z.int().min(1),
    firstAtMs: z.int(),
    lastAtMs: z.int(),
  }),
  'policy.published': Change,
  'policy.default_set': Change,
  'policy.retired': Change,
  'key.created': Change,
  'key.rotated': Change,
  'key.revoked': Change,
  'consumer.named': Change,
  'quota.set': Change,
  'audit.exported': z.strictObject({
    format: z.enum(['jsonl', 'csv', 'bundle', 'ropa']),
    /** Entries from … up to, without the last. */
    from: Count,
    to: Count,
    by: KeyId.nullable(),
  }),
  /** Proof of an erasure: the job, or the batch whose jobs they are, is named by a commitment whose salt only the one who asked was given. */
  'job.erased': z.strictObject({
    job: Bytes32,
    entries: z.array(Count).max(LIMITS.auditErasedEntries),
    receipts: Count,
    by: KeyId.nullable(),
  }),
  /** Which details went with their retention: a bundle in which they are missing is explained by it. */
  'retention.swept': z.strictObject({
    receipts: Count,
    entries: z.array(Count).max(LIMITS.retentionSweepRows),
  }),
} as const

export type AuditType = keyof typeof DETAILS
export const AUDIT_TYPES = Object.keys(DETAILS) as [AuditType, ...AuditType[]]
/** What says which details are gone: a bundle opens it whatever it was narrowed to. */
export const ERASURE_TYPES: ReadonlySet<AuditType> = new Set(['job.erased', 'retention.swept'])
/** The types whose detail is a plain change of the tenant. */
export type ChangeType = {
  [T in AuditType]: (typeof DETAILS)[T] extends typeof Change ? T : never
}[AuditType]
export type AuditDetail<T extends AuditType> = z.infer<(typeof DETAILS)[T]>

/** What happens, as the log is told. */
export type AuditEvent = {
  [T in AuditType]: { readonly type: T; readonly detail: AuditDetail<T> }
}[AuditType]

/** One leaf: what the tree hashes. */
export const LogLeaf = z.strictObject({
  version: z.literal(1),
  /** Place in the log, from 0. */
  sequence: Count,
  atMs: z.int(),
  type: z.enum(AUDIT_TYPES),
  /** sha256(salt ‖ sha256(canonical JSON of the detail)). */
  commitment: Bytes32,
})
export type LogLeaf = z.infer<typeof LogLeaf>

/** A leaf, opened while its detail is kept. */
export const LogEntry = LogLeaf.extend({
  /** Null once erased. */
  opening: z.strictObject({ salt: Bytes32, detail: z.record(z.string(), z.unknown()) }).nullable(),
})
export type LogEntry = z.infer<typeof LogEntry>

/** The detail of an entry of that type. @throws {z.ZodError} */
export function parseDetail<T extends AuditType>(type: T, detail: unknown): AuditDetail<T> {
  return DETAILS[type].parse(detail) as AuditDetail<T>
}

/** The receipt of a placement whose detail is kept. */
export function receiptIdOf({ type, opening }: LogEntry): Bytes32 | undefined {
  if (type !== 'job.placed' || opening === null) return undefined
  return parseDetail(type, opening.detail).receiptId
}

/** The bytes that the tree hashes. */
export function leafBytes({ version, sequence, atMs, type, commitment: of }: LogLeaf): Uint8Array {
  return stringToBytes(canonicalJson({ version, sequence, atMs, type, commitment: of }))
}

/** The same commitment as receipts have. */
export function commitDetail(salt: Bytes32, detail: unknown): Bytes32 {
  return commitText(salt, canonicalJson(detail))
}

/** @param text canonical JSON of the detail */
export function commitText(salt: Bytes32, text: string): Bytes32 {
  const digest = sha256Bytes(stringToBytes(text))
  return sha256Hex(concatBytes([hexToBytes(salt), digest]))
}

/** The log's name in its checkpoints: which deployment, by its contract, and which tenant, by its hash. */
export function logOrigin({ chainId, verifyingContract }: Domain, tenant: string): string {
  const hash = nameHash(tenant).slice(2)
  return `littoral/${chainId}/${verifyingContract.toLowerCase().slice(2)}/${hash}`
}

const LOG_CHECKPOINT_TYPE = 'LogCheckpoint(bytes32 tenant,uint64 size,bytes32 root)'

/** A tenant's log as it stood, for a leaf under a batch's log root. */
export const TenantCheckpoint = z.strictObject({
  tenant: Bytes32,
  size: Count,
  root: Bytes32,
})
export type TenantCheckpoint = z.infer<typeof TenantCheckpoint>

/** A log as it stands, and that it goes on from what somebody has seen of it. */
export interface LogProgress extends TenantCheckpoint {
  /** From that size on; empty when the log is not that long. */
  readonly consistency: readonly Bytes32[]
}

/** Leaf of a batch's log root: an EIP-712 struct hash, as the receipts' leaves are. */
export function checkpointLeaf({ tenant, size, root }: TenantCheckpoint): Bytes32 {
  return structHash(LOG_CHECKPOINT_TYPE, [tenant, size, root])
}
