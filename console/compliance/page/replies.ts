/** What this page reads of the API's replies; more may stand in them. */
import { z } from 'zod'
import { LogEntry } from '#shared/audit/entries.ts'
import { COMPUTE_RULES } from '#shared/law/decide.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { EVIDENCE_CLASSES, EVIDENCE_SOURCES, NODE_TRUSTS, Policy } from '#shared/law/policy.ts'
import { PublicKey } from '#shared/base/signature.ts'
import { SCOPES } from './session.ts'

export const PolicyVersion = z.object({
  policy: Policy,
  version: z.int(),
  hash: Bytes32,
  publishedAtMs: z.int().nullish(),
  retiredAtMs: z.int().nullable(),
  computeCountries: z.array(z.string()),
})
export type PolicyVersion = z.infer<typeof PolicyVersion>

/** Publishing says what was left out and is read in its place. */
export const PublishedVersion = PolicyVersion.extend({
  assumed: z.array(z.object({ pointer: z.string(), means: z.string() })),
})

export const Policies = z.object({
  default: z.string(),
  policies: z.array(PolicyVersion),
  retired: z.array(PolicyVersion),
})
export const Versions = z.object({ versions: z.array(PolicyVersion) })
export const DefaultPolicy = z.object({ default: z.string() })

export const NetworkNode = z.object({
  nodeId: z.string(),
  kind: z.string(),
  country: z.string(),
  evidence: z.enum(EVIDENCE_CLASSES),
  source: z.enum(EVIDENCE_SOURCES),
  trust: z.enum(NODE_TRUSTS),
  adapter: z.object({ name: z.string(), isSoftware: z.boolean() }),
  models: z.array(z.object({ id: z.string(), provider: z.string() })),
  rttMs: z.number(),
  inFlight: z.int(),
  jobsDone: z.int(),
  quarantine: z.string().nullable(),
  /** What its class was concluded from, in words, and until when that stands. */
  evidenceReasons: z.array(z.string()),
  evidenceUntilMs: z.number().nullable(),
  relaySuspected: z.boolean(),
})
export type NetworkNode = z.infer<typeof NetworkNode>

export const Network = z.object({
  hubs: z.array(z.object({ hub: z.string(), jurisdiction: z.string(), hubKey: PublicKey })),
  nodes: z.array(NetworkNode),
})
export type Network = z.infer<typeof Network>

export const AuditPage = z.object({ data: z.array(LogEntry), next: z.int().nullable() })
export type AuditPage = z.infer<typeof AuditPage>

/** What would happen to a job under a policy. */
export const DryRun = z.object({
  policy: z.object({ id: z.string(), version: z.int().nullable() }),
  computeCountries: z.array(z.string()),
  ingress: z.object({ verdict: z.string(), sentence: z.string() }),
  hubs: z.array(
    z.object({
      hub: z.string(),
      jurisdiction: z.string(),
      verdict: z.enum(['allow', 'storage.jurisdiction']),
      isLive: z.boolean(),
    }),
  ),
  nodes: z.array(
    z.object({
      nodeId: z.string(),
      hub: z.string(),
      country: z.string(),
      evidence: z.string(),
      trust: z.string(),
      verdict: z.enum(['allow', ...COMPUTE_RULES]),
      sentence: z.string(),
    }),
  ),
  outcome: z.object({
    code: z.string(),
    rule: z.string().nullable(),
    sentence: z.string(),
    needed: z.string().nullable(),
  }),
})
export type DryRun = z.infer<typeof DryRun>

export const Key = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  networks: z.array(z.string()).default([]),
  createdAtMs: z.int(),
  expiresAtMs: z.int().nullable(),
  revokedAtMs: z.int().nullable(),
  lastUsedAtMs: z.int().nullable(),
})
export type Key = z.infer<typeof Key>

export const Keys = z.object({ keys: z.array(Key) })
export const CreatedKey = Key.extend({ key: z.string() })
export type CreatedKey = z.infer<typeof CreatedKey>
export const RotatedKey = CreatedKey.extend({ formerUntilMs: z.int().nullable() })

/** An erasure, and what proves it. */
export const Erasure = z.object({
  jobId: z.string(),
  salt: Bytes32,
  commitment: Bytes32,
  sequence: z.int(),
  entries: z.array(z.int()),
  receipts: z.int(),
  held: z.array(z.object({ sequence: z.int(), untilMs: z.int() })),
  entry: LogEntry,
  proof: z.array(Bytes32).nullable(),
  checkpoint: z.string().nullable(),
})
export type Erasure = z.infer<typeof Erasure>

export const LogKey = z.object({ publicKey: Bytes32 })
