/**
 * Entries of a tenant's audit log. Each leaf commits to its entry's detail under a salt of its own. Once salt and detail
 * are erased, the leaf tells only the type of the event and its time, and links to nobody.
 */
import { bytesToHex, hexToBytes, stringToBytes } from 'viem'
import { z } from 'zod'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { Bytes32, JobId, nameHash, NodeId } from '#shared/base/ids.ts'
import { NO_DOMAIN, type Domain } from '#shared/proof/domain.ts'
import { struct, uint, word } from '#shared/proof/encoding.ts'
import { layout } from '#shared/proof/layout.ts'
import { leafHash } from '#shared/proof/tree.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { PolicyId } from '#shared/law/policy.ts'
import { Place } from '#shared/receipt/receipt.ts'
import { sha256Bytes, sha256Hex } from '#shared/base/native-crypto.ts'

/** Audit entries that one erasure names. */
const AUDIT_ERASED_ENTRIES = 10_000

const KeyId = z.string().max(64)
const Count = z.int().min(0)

const Change = z.strictObject({
  /** The changed object: `eu-only@3`, `key_acme_0123456789ab`. */
  subject: z.string().max(512),
  policyHash: Bytes32.nullable(),
  /** The key that made the change; `operator` for the deployment's own. */
  by: KeyId.nullable(),
})

const DETAILS = {
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
  /** A node ran the job at this place. The receipt holds all of it, too. */
  'job.placed': z.strictObject({
    jobId: JobId,
    receiptId: Bytes32,
    hub: z.string().max(64),
    nodeId: NodeId,
    place: Place,
    finishedAtMs: z.int(),
    receiptUntilMs: z.int(),
  }),
  /** One refusal, or several of the same kind in quick succession. */
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
    /** Entries `from` up to but not including `to`. */
    from: Count,
    to: Count,
    by: KeyId.nullable(),
  }),
  /** Proof of an erasure. A commitment names the job, or the batch of jobs; only the requester was given its salt. */
  'job.erased': z.strictObject({
    job: Bytes32,
    entries: z.array(Count).max(AUDIT_ERASED_ENTRIES),
    receipts: Count,
    by: KeyId.nullable(),
  }),
  /** Details that were erased at the end of their retention; explains why a bundle lacks them. */
  'retention.swept': z.strictObject({
    receipts: Count,
    entries: z.array(Count).max(LIMITS.retentionSweepRows),
  }),
} as const

export type AuditType = keyof typeof DETAILS
export const AUDIT_TYPES = Object.keys(DETAILS) as [AuditType, ...AuditType[]]
/** Entries that say which details are gone. A bundle always opens them, however narrow it is. */
export const ERASURE_TYPES: ReadonlySet<AuditType> = new Set(['job.erased', 'retention.swept'])
/** The types whose detail is a {@link Change}. */
export type ChangeType = {
  [T in AuditType]: (typeof DETAILS)[T] extends typeof Change ? T : never
}[AuditType]
export type AuditDetail<T extends AuditType> = z.infer<(typeof DETAILS)[T]>

export type AuditEvent = {
  [T in AuditType]: { readonly type: T; readonly detail: AuditDetail<T> }
}[AuditType]

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

/** A leaf with its detail, while that is kept. */
export const LogEntry = LogLeaf.extend({
  /** Null once erased. */
  opening: z.strictObject({ salt: Bytes32, detail: z.record(z.string(), z.unknown()) }).nullable(),
})
export type LogEntry = z.infer<typeof LogEntry>

/** @throws {z.ZodError} for a detail that does not fit the type */
export function parseDetail<T extends AuditType>(type: T, detail: unknown): AuditDetail<T> {
  return DETAILS[type].parse(detail) as AuditDetail<T>
}

/** The receipt that a placement names, while its detail is kept. */
export function receiptIdOf({ type, opening }: LogEntry): Bytes32 | undefined {
  if (type !== 'job.placed' || opening === null) return undefined
  return parseDetail(type, opening.detail).receiptId
}

/** The leaf's canonical JSON; no member of a leaf needs an escape. */
export function leafBytes({ version, sequence, atMs, type, commitment: of }: LogLeaf): Uint8Array {
  const commits = `"commitment":"${of}"`
  return stringToBytes(
    `{"atMs":${atMs},${commits},"sequence":${sequence},"type":"${type}","version":${version}}`,
  )
}

export function commitDetail(salt: Bytes32, detail: unknown): Bytes32 {
  return commitText(salt, canonicalJson(detail))
}

/** @param text canonical JSON of the detail */
export function commitText(salt: Bytes32, text: string): Bytes32 {
  const both = new Uint8Array(64)
  both.set(hexToBytes(salt))
  both.set(sha256Bytes(stringToBytes(text)), 32)
  return sha256Hex(both)
}

/** The log's name in its checkpoints: the deployment by its contract, the tenant by its hash. */
export function logOrigin({ chainId, verifyingContract }: Domain, tenant: string): string {
  const hash = nameHash(tenant).slice(2)
  return `littoral/${chainId}/${verifyingContract.toLowerCase().slice(2)}/${hash}`
}

/** State of a tenant's log; a leaf under a settlement batch's log root. */
export const TenantCheckpoint = z.strictObject({
  tenant: Bytes32,
  size: Count,
  root: Bytes32,
})
export type TenantCheckpoint = z.infer<typeof TenantCheckpoint>

/** State of a log, with the proof that it continues an earlier state. */
export interface LogProgress extends TenantCheckpoint {
  /** From the earlier size on; empty when the log is shorter than that. */
  readonly consistency: readonly Bytes32[]
}

export const CHECKPOINT_LAYOUT = layout(
  'log checkpoint',
  1,
  struct<TenantCheckpoint>({ tenant: word, size: uint(8), root: word }),
)

/** Leaf of a settlement batch's log root. */
export function checkpointLeaf(checkpoint: TenantCheckpoint): Bytes32 {
  return bytesToHex(leafHash(CHECKPOINT_LAYOUT.encode(NO_DOMAIN, checkpoint)))
}
