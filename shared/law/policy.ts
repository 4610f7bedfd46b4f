/** Residency policies: the form that a tenant writes, and the form that it is compiled to. */
import { z } from 'zod'
import { Bytes32, TenantId } from '#shared/base/ids.ts'
import { CURRENT_REGIONS, REGION_LISTS } from './region-groups.ts'
import { groupNames, isRegion, isRegionsVersion } from './region.ts'

/** Weakest to strongest; receipts and the contract carry the index. */
export const EVIDENCE_CLASSES = [
  'contradicted',
  'declared',
  'observed',
  'bounded',
  'attested',
] as const
export type EvidenceClass = (typeof EVIDENCE_CLASSES)[number]

/** Who vouches for the observation. `simulated` exists in development builds only, and every verifier rejects it. */
export const EVIDENCE_SOURCES = [
  'none',
  'edge',
  'proxy',
  'operator',
  'simulated',
  'anchors',
] as const
export type EvidenceSource = (typeof EVIDENCE_SOURCES)[number]

export const DATA_CLASSES = ['public', 'personal', 'special', 'phi'] as const

export const NODE_TRUSTS = ['public', 'verified', 'dedicated'] as const
export type NodeTrust = (typeof NODE_TRUSTS)[number]

/** Where records are kept: a jurisdiction of Durable Objects, or `any` for wherever the deployment runs. */
export const JURISDICTIONS = ['any', 'eu', 'us', 'fedramp', 'fedramp-high'] as const
export type Jurisdiction = (typeof JURISDICTIONS)[number]

/** Required checks of answers. `replicated` is refused everywhere until answers are replicated. */
export const VERIFICATION_LEVELS = ['none', 'replicated'] as const

const NO_REGIONS = 'names no region: name at least one'

/** A policy may name a group that only an older list has. `policy-faults.ts` checks the list that the policy names. */
const Region = regionOf((name) => REGION_LISTS.some(({ version }) => isRegion(name, version)))
const PolicyRegions = z.array(Region).min(1, NO_REGIONS).max(260)

/** Regions that a request narrows to, by today's list. */
export const RegionList = z
  .array(regionOf((name) => isRegion(name)))
  .min(1, NO_REGIONS)
  .max(260)

/** Countries and groups, less those in `deny`. */
export const PolicyPlaces = z.strictObject({
  allow: PolicyRegions,
  deny: z.array(Region).max(260).default([]),
})
export type PolicyPlaces = z.infer<typeof PolicyPlaces>

export const PolicyId = plainName()

/** A consortium of nodes, as the operator names it in the keys of its members. */
export const NetworkId = plainName()

/** The tenant that owns the operator's keys. It also counts as the voucher of what the operator attests. */
export const OPERATOR_TENANT = TenantId.parse('operator')

/** Prefix of a tenant's name. */
export const NAMED_VOUCHER = 'tenant:'

/** An accepted voucher: the tenant's own keys, the operator's, those of a named tenant, or anyone's. */
const Voucher = z
  .string()
  .refine(
    (name) =>
      ['own', 'operator', 'anyone'].includes(name) ||
      (name.startsWith(NAMED_VOUCHER) &&
        TenantId.safeParse(name.slice(NAMED_VOUCHER.length)).success),
    'write own, operator, anyone, or tenant:NAME',
  )
/** A complete policy, as it is published. Published versions never change. */
export const Policy = z.strictObject({
  id: PolicyId,
  /** Where requests may enter: the place where TLS ends. */
  ingress: PolicyPlaces,
  compute: PolicyPlaces,
  /** Where job records, logs and receipts are kept. */
  storage: z.enum(JURISDICTIONS),
  /** The weakest evidence of place that is accepted. @default observed */
  minEvidence: z.enum(['declared', 'observed', 'bounded', 'attested']).default('observed'),
  dataClass: z.enum(DATA_CLASSES).default('personal'),
  /** Lets `personal` data reach public nodes; never opens `special` or `phi`. @default false */
  personalOnPublicNodes: z.boolean().default(false),
  /** The least trusted kind of node that may run jobs. @default public */
  nodeTrust: z.enum(NODE_TRUSTS).default('public'),
  /** Accepted vouchers. A node that only others vouch for is public. @default own, operator */
  vouchers: z.array(Voucher).min(1).max(16).default(['own', 'operator']),
  verification: z.enum(VERIFICATION_LEVELS).default('none'),
  /** Only nodes of this consortium; null for any. @default null */
  network: NetworkId.nullable().default(null),
  retentionDays: z.int().min(1).max(3650).default(30),
  /** The dated list that says what the groups mean. @default the newest */
  regions: z
    .int()
    .refine(isRegionsVersion, `there is no such list of groups; the newest is ${CURRENT_REGIONS}`)
    .default(CURRENT_REGIONS),
})
export type Policy = z.infer<typeof Policy>

/** A policy as a tenant writes it; `policy-draft.ts` fills in what it omits. */
export const PolicyDraft = Policy.extend({
  /** @default where it may be computed */
  ingress: PolicyPlaces.optional(),
  /** @default where the tenant's records are kept */
  storage: z.enum(JURISDICTIONS).optional(),
})
export type PolicyDraft = z.infer<typeof PolicyDraft>

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
  /** Without duplicates, sorted. */
  vouchers: z.array(Voucher).min(1).max(16),
  verification: z.enum(VERIFICATION_LEVELS),
  network: NetworkId.nullable(),
  regions: z.int(),
  /** SHA-256 of all the fields above, by the layout in `compile-policy.ts`. */
  hash: Bytes32,
})
export type CompiledPolicy = z.infer<typeof CompiledPolicy>

function regionOf(isKnown: (name: string) => boolean) {
  const error = ({ input }: { readonly input?: unknown }) => noSuchRegion(String(input))
  return z.string().max(64).refine(isKnown, { error })
}

function noSuchRegion(name: string): string {
  const upper = name.toUpperCase()
  const meant = upper === 'UK' ? 'GB' : upper
  const hint = isRegion(meant) ? `; write ${meant}` : ''
  return `"${name.slice(0, 64)}" is neither an ISO 3166-1 alpha-2 country nor a group (${groupNames().join(', ')})${hint}`
}

function plainName() {
  return z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'lower-case letters, digits and dashes, at most 48')
}
