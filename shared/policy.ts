/** Residency policy: what a tenant writes, what it compiles to, and the one pure decision over it. */
import { z } from 'zod'
import { Bytes32, nameHash, TenantId } from './ids.ts'
import { countrySet, hasCountry, intersect, isRegion, without, type CountrySet } from './region.ts'
import { structHash } from './eip712.ts'

/** Weakest to strongest; the index is what the receipt and the contract carry. */
export const EVIDENCE_CLASSES = [
  'contradicted',
  'declared',
  'observed',
  'bounded',
  'attested',
] as const
export type EvidenceClass = (typeof EVIDENCE_CLASSES)[number]

/** Who vouches for the observation. `simulated` exists in development builds only, and every verifier rejects it. */
export const EVIDENCE_SOURCES = ['none', 'edge', 'proxy', 'operator', 'simulated'] as const
export type EvidenceSource = (typeof EVIDENCE_SOURCES)[number]

export const DATA_CLASSES = ['public', 'personal', 'special', 'phi'] as const
export type DataClass = (typeof DATA_CLASSES)[number]

export const NODE_TRUSTS = ['public', 'verified', 'dedicated'] as const
export type NodeTrust = (typeof NODE_TRUSTS)[number]

/** Where records are kept: the jurisdictions that Durable Objects have, or wherever the deployment stands. */
export const JURISDICTIONS = ['any', 'eu', 'us', 'fedramp', 'fedramp-high'] as const
export type Jurisdiction = (typeof JURISDICTIONS)[number]

const Region = z
  .string()
  .refine(isRegion, 'not an ISO 3166-1 alpha-2 country nor a group (EU, EEA, ADEQUATE, WORLD)')
export const RegionList = z.array(Region).min(1).max(260)

export const PolicyId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'lower-case letters, digits and dashes, at most 48')

/** A policy as a tenant publishes it. Published versions never change. */
export const Policy = z.strictObject({
  id: PolicyId,
  /** Where the request may enter: the place where TLS ends. @default WORLD */
  ingress: z.strictObject({ allow: RegionList }).default({ allow: ['WORLD'] }),
  /** Where it may be computed; `deny` wins. */
  compute: z.strictObject({ allow: RegionList, deny: z.array(Region).max(260).default([]) }),
  /** Where job records, logs and receipts are kept. @default any */
  storage: z.enum(JURISDICTIONS).default('any'),
  /** The weakest evidence of place that is accepted. @default observed */
  minEvidence: z.enum(['declared', 'observed', 'bounded', 'attested']).default('observed'),
  /** @default personal */
  dataClass: z.enum(DATA_CLASSES).default('personal'),
  /** Opt-in by name: lets `personal` data reach public nodes. Never opens `special` or `phi`. @default false */
  personalOnPublicNodes: z.boolean().default(false),
  /** The least trusted kind of node. @default public */
  nodeTrust: z.enum(NODE_TRUSTS).default('public'),
  /** Days until job records are erased. @default 30 */
  retentionDays: z.int().min(1).max(3650).default(30),
})
export type Policy = z.infer<typeof Policy>

/** A published policy version as it travels to hubs, nodes and the ledger. */
export const CompiledPolicy = z.strictObject({
  tenant: TenantId,
  id: PolicyId,
  version: z.int().min(1),
  ingress: Bytes32,
  compute: Bytes32,
  storage: z.enum(JURISDICTIONS),
  minEvidence: z.enum(EVIDENCE_CLASSES),
  dataClass: z.enum(DATA_CLASSES),
  personalOnPublicNodes: z.boolean(),
  nodeTrust: z.enum(NODE_TRUSTS),
  retentionDays: z.int(),
  /** EIP-712 struct hash of all the fields above. */
  hash: Bytes32,
})
export type CompiledPolicy = z.infer<typeof CompiledPolicy>

export function compilePolicy(
  policy: Policy,
  at: { tenant: TenantId; version: number },
): CompiledPolicy {
  const fields = {
    tenant: at.tenant,
    id: policy.id,
    version: at.version,
    ingress: countrySet(policy.ingress.allow),
    compute: without(countrySet(policy.compute.allow), countrySet(policy.compute.deny)),
    storage: policy.storage,
    minEvidence: policy.minEvidence,
    dataClass: policy.dataClass,
    personalOnPublicNodes: policy.personalOnPublicNodes,
    nodeTrust: policy.nodeTrust,
    retentionDays: policy.retentionDays,
  }
  return { ...fields, hash: policyHash(fields) }
}

export const POLICY_TYPE =
  'Policy(bytes32 tenant,bytes32 id,uint32 version,uint256 ingress,uint256 compute,uint8 storageJurisdiction,' +
  'uint8 minEvidence,uint8 dataClass,bool personalOnPublicNodes,uint8 nodeTrust,uint16 retentionDays)'

/** EIP-712 struct hash of a compiled policy; the contract computes the same from the same fields. */
export function policyHash(policy: Omit<CompiledPolicy, 'hash'>): Bytes32 {
  return structHash(POLICY_TYPE, [
    nameHash(policy.tenant),
    nameHash(policy.id),
    policy.version,
    policy.ingress,
    policy.compute,
    JURISDICTIONS.indexOf(policy.storage),
    EVIDENCE_CLASSES.indexOf(policy.minEvidence),
    DATA_CLASSES.indexOf(policy.dataClass),
    policy.personalOnPublicNodes,
    NODE_TRUSTS.indexOf(policy.nodeTrust),
    policy.retentionDays,
  ])
}

/** What a new tenant has before it publishes anything: personal data, verified nodes in the EEA only. */
export const DEFAULT_POLICY: Policy = Policy.parse({ id: 'default', compute: { allow: ['EEA'] } })

/** What the decision knows about a node. `country` is a bit of the table in `region.ts`. */
export interface NodeFacts {
  readonly country: number
  readonly evidence: EvidenceClass
  readonly trust: NodeTrust
  readonly quarantined: boolean
}

export const COMPUTE_RULES = [
  'node.quarantined',
  'evidence.contradicted',
  'compute.allow',
  'evidence.min',
  'data_class.phi',
  'data_class.special',
  'data_class.personal',
  'node_trust.min',
] as const
export type ComputeRule = (typeof COMPUTE_RULES)[number]

/** The places where one job may be computed: the policy's, narrowed by the request. */
export function effectiveCompute(policy: CompiledPolicy, narrowTo?: readonly string[]): CountrySet {
  return narrowTo === undefined ? policy.compute : intersect(policy.compute, countrySet(narrowTo))
}

/**
 * The residency decision: `allow`, or the first rule that refused, by name. Pure and allocation-free.
 * @param allowed the effective compute set of the job; checked together with the policy's own, so it can only narrow.
 */
export function decide(
  policy: CompiledPolicy,
  allowed: CountrySet,
  node: NodeFacts,
): 'allow' | ComputeRule {
  if (node.quarantined) return 'node.quarantined'
  if (node.evidence === 'contradicted') return 'evidence.contradicted'
  if (!hasCountry(policy.compute, node.country) || !hasCountry(allowed, node.country))
    return 'compute.allow'
  if (EVIDENCE_CLASSES.indexOf(node.evidence) < EVIDENCE_CLASSES.indexOf(policy.minEvidence))
    return 'evidence.min'
  if (policy.dataClass === 'phi' && node.trust !== 'dedicated') return 'data_class.phi'
  if (policy.dataClass === 'special' && node.trust === 'public') return 'data_class.special'
  if (policy.dataClass === 'personal' && node.trust === 'public' && !policy.personalOnPublicNodes)
    return 'data_class.personal'
  if (NODE_TRUSTS.indexOf(node.trust) < NODE_TRUSTS.indexOf(policy.nodeTrust))
    return 'node_trust.min'
  return 'allow'
}

/** Whether a request may enter where TLS ended. An unknown place is in no policy's set. */
export function decideIngress(policy: CompiledPolicy, country: number): 'allow' | 'ingress.allow' {
  return hasCountry(policy.ingress, country) ? 'allow' : 'ingress.allow'
}
