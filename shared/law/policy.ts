/** Residency policy: the words that a tenant writes it in, and the shape that it is compiled to. */
import { z } from 'zod'
import { Bytes32, TenantId } from '#shared/base/ids.ts'
import { CURRENT_REGIONS, REGION_LISTS } from './region-groups.ts'
import { groupNames, isRegion, isRegionsVersion } from './region.ts'

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

/** Where records are kept: the jurisdictions that Durable Objects have, or wherever the deployment stands. */
export const JURISDICTIONS = ['any', 'eu', 'us', 'fedramp', 'fedramp-high'] as const
export type Jurisdiction = (typeof JURISDICTIONS)[number]

/** What a policy asks of how answers are checked; `replicated` is refused everywhere until answers are. */
export const VERIFICATION_LEVELS = ['none', 'replicated'] as const

const NO_REGIONS = 'names no region: name at least one'

/** In a policy a group may be one that only the older list has which the policy names; `policy-faults.ts` looks there. */
const Region = regionOf((name) => REGION_LISTS.some(({ version }) => isRegion(name, version)))
const PolicyRegions = z.array(Region).min(1, NO_REGIONS).max(260)

/** What a request narrows to: in the words of today's list. */
export const RegionList = z
  .array(regionOf((name) => isRegion(name)))
  .min(1, NO_REGIONS)
  .max(260)

/** Countries and groups, and what is taken out of them; `deny` wins. */
export const PolicyPlaces = z.strictObject({
  allow: PolicyRegions,
  deny: z.array(Region).max(260).default([]),
})
export type PolicyPlaces = z.infer<typeof PolicyPlaces>

export const PolicyId = plainName()

/** A consortium of nodes, as the operator names it in the keys of those who run them. */
export const NetworkId = plainName()

/** The tenant whose keys are the operator's own; what the operator attests counts as vouched for by it, too. */
export const OPERATOR_TENANT = TenantId.parse('operator')

/** Before the name of a tenant. */
export const NAMED_VOUCHER = 'tenant:'

/** Whose word for a node counts: the tenant's own keys, the operator's, those of a named tenant, or anyone's. */
const Voucher = z
  .string()
  .refine(
    (name) =>
      ['own', 'operator', 'anyone'].includes(name) ||
      (name.startsWith(NAMED_VOUCHER) &&
        TenantId.safeParse(name.slice(NAMED_VOUCHER.length)).success),
    'write own, operator, anyone, or tenant:NAME',
  )
/** A policy as it is published: nothing is left open. Published versions never change. */
export const Policy = z.strictObject({
  id: PolicyId,
  /** Where the request may enter: the place where TLS ends. */
  ingress: PolicyPlaces,
  /** Where it may be computed. */
  compute: PolicyPlaces,
  /** Where job records, logs and receipts are kept. */
  storage: z.enum(JURISDICTIONS),
  /** The weakest evidence of place that is accepted. @default observed */
  minEvidence: z.enum(['declared', 'observed', 'bounded', 'attested']).default('observed'),
  /** @default personal */
  dataClass: z.enum(DATA_CLASSES).default('personal'),
  /** Opt-in by name: lets `personal` data reach public nodes. Never opens `special` or `phi`. @default false */
  personalOnPublicNodes: z.boolean().default(false),
  /** The least trusted kind of node. @default public */
  nodeTrust: z.enum(NODE_TRUSTS).default('public'),
  /** Whose word for a node counts; one that only others vouch for is a public node. @default own, operator */
  vouchers: z.array(Voucher).min(1).max(16).default(['own', 'operator']),
  /** How answers must be checked. @default none */
  verification: z.enum(VERIFICATION_LEVELS).default('none'),
  /** Only nodes of this consortium; null for any. @default null */
  network: NetworkId.nullable().default(null),
  /** Days until job records are erased. @default 30 */
  retentionDays: z.int().min(1).max(3650).default(30),
  /** The dated list that says what the groups mean. @default the newest */
  regions: z
    .int()
    .refine(isRegionsVersion, `no such list of groups; the newest is ${CURRENT_REGIONS}`)
    .default(CURRENT_REGIONS),
})
export type Policy = z.infer<typeof Policy>

/** A policy as a tenant writes it; `policy-draft.ts` says what is meant by what it leaves out. */
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
  /** Each once, in the order of their names. */
  vouchers: z.array(Voucher).min(1).max(16),
  verification: z.enum(VERIFICATION_LEVELS),
  network: NetworkId.nullable(),
  regions: z.int(),
  /** EIP-712 struct hash of all the fields above. */
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
