/** Random policies and nodes from a small world, so that many nodes are just inside or just outside. */
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  NODE_TRUSTS,
  type EvidenceClass,
  type NodeTrust,
  type Policy,
} from '#shared/law/policy.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import { REGION_LISTS } from '#shared/law/region-groups.ts'
import { countryBit, countrySet } from '#shared/law/region.ts'
import type { Random } from '../random.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

/** A node described by names, without bits. */
export interface DrawnNode {
  /** Alpha-2 code, or `unknown`. */
  readonly country: string
  readonly evidence: EvidenceClass
  readonly possible: readonly string[]
  readonly trust: NodeTrust
  /** Tenant whose key vouched for it. */
  readonly voucher: string | null
  readonly networks: readonly string[]
  readonly quarantined: boolean
}

/** The tenant that owns the drawn policies. */
export const OWN_TENANT = 'acme'
const VOUCHERS = ['own', 'operator', 'anyone', 'tenant:other', 'tenant:her'] as const

const COUNTRIES = ['DE', 'FR', 'AT', 'IS', 'CH', 'BR', 'US', 'PR', 'IN'] as const
const REGIONS = [...COUNTRIES, 'EU', 'EEA', 'ADEQUATE', 'US_ALL', 'WORLD'] as const
const NETWORKS = ['clinics', 'harbours'] as const
const VERSIONS = REGION_LISTS.map(({ version }) => version)

export function oneOf<T>(random: Random, values: readonly T[]): T {
  const value = values[random.below(values.length)]
  if (value === undefined) throw new RangeError('nothing to choose from')
  return value
}

export function someOf<T>(random: Random, values: readonly T[], atMost: number): T[] {
  return Array.from({ length: random.below(atMost + 1) }, () => oneOf(random, values))
}

/** Draws policies that are mostly open in each field, so that every rule refuses often enough. */
export function drawPolicy(random: Random, id = 'drawn'): Policy {
  const seldom = <T>(value: T, values: readonly T[]) =>
    random.chance(0.3) ? oneOf(random, values) : value
  return asPolicy({
    id,
    ingress: { allow: ['WORLD'] },
    compute: {
      allow: [oneOf(random, REGIONS), ...someOf(random, REGIONS, 4)],
      deny: someOf(random, REGIONS.slice(0, -1), random.chance(0.4) ? 2 : 0),
    },
    minEvidence: seldom('observed', ['declared', 'bounded', 'bounded', 'attested']),
    dataClass: seldom('public', [...DATA_CLASSES, 'personal']),
    personalOnPublicNodes: random.chance(0.3),
    nodeTrust: seldom('public', NODE_TRUSTS),
    vouchers: random.chance(0.5)
      ? ['own', 'operator']
      : [oneOf(random, VOUCHERS), ...someOf(random, VOUCHERS, 2)],
    verification: random.chance(0.05) ? 'replicated' : 'none',
    network: random.chance(0.2) ? oneOf(random, NETWORKS) : null,
    regions: oneOf(random, VERSIONS),
  })
}

/** Regions that a request narrows to; undefined for none. */
export function drawNarrowing(random: Random): string[] | undefined {
  if (random.chance(0.6)) return undefined
  return [oneOf(random, REGIONS), ...someOf(random, REGIONS, 2)]
}

export function drawNode(random: Random): DrawnNode {
  const country = random.chance(0.03) ? 'unknown' : oneOf(random, COUNTRIES)
  const evidence = random.chance(0.6)
    ? oneOf(random, ['observed', 'bounded'] as const)
    : oneOf(random, EVIDENCE_CLASSES)
  const elsewhere = someOf(random, COUNTRIES, evidence === 'bounded' ? 2 : 0)
  const isFaulty = random.chance(0.02)
  const own = country === 'unknown' || isFaulty ? [] : [country]
  return {
    country,
    evidence,
    possible: [...new Set([...own, ...elsewhere])],
    trust: oneOf(random, NODE_TRUSTS),
    voucher: oneOf(random, [OWN_TENANT, 'operator', 'operator', 'other', 'her', null]),
    networks: NETWORKS.filter(() => random.chance(0.4)),
    quarantined: random.chance(0.05),
  }
}

export function factsOf({ country, possible, ...rest }: DrawnNode): NodeFacts {
  return { ...rest, country: countryBit(country), possible: countrySet(possible) }
}
