/**
 * Reads a policy's meaning from its text by sets of names, without bits or compilation. It shares only the names of the
 * rules with `decide`, and is slow and plain on purpose.
 */
import type { ComputeRule } from '#shared/law/decide.ts'
import type { NodeTrust, Policy } from '#shared/law/policy.ts'
import { CURRENT_REGIONS, REGION_LISTS } from '#shared/law/region-groups.ts'
import { COUNTRIES } from '#shared/law/region.ts'
import { OWN_TENANT, type DrawnNode } from './draw.ts'

/** The countries that these regions name in a list. */
export function spell(regions: readonly string[], version: number): Set<string> {
  const list = REGION_LISTS.find((candidate) => candidate.version === version)
  if (list === undefined) throw new RangeError(`no list ${version}`)
  const codes = regions.flatMap((name) => {
    if (name === 'WORLD') return COUNTRIES.slice(0, list.countryCount)
    return list.groups[name]?.countries ?? [name]
  })
  return new Set(codes)
}

/** Where a job may run: what is allowed, less what is denied, narrowed by the request. */
export function spellCompute(
  { compute, regions }: Policy,
  narrowTo?: readonly string[],
): Set<string> {
  const denied = spell(compute.deny, regions)
  const left = narrowTo === undefined ? undefined : spell(narrowTo, CURRENT_REGIONS)
  const allowed = [...spell(compute.allow, regions)]
  return new Set(
    allowed.filter((code) => !denied.has(code) && (left === undefined || left.has(code))),
  )
}

export const STRENGTH = {
  contradicted: 0,
  declared: 1,
  observed: 2,
  bounded: 3,
  attested: 4,
} as const

/** The tenants whose vouching counts; undefined for everybody's. */
export function spellVouchers({ vouchers }: Policy): Set<string> | undefined {
  if (vouchers.includes('anyone')) return undefined
  const names = vouchers.map((name) => {
    if (name === 'own') return OWN_TENANT
    return name.replace(/^tenant:/, '')
  })
  return new Set(names)
}

/** A node's trust under the policy: public unless its voucher counts. */
function standing(policy: Policy, { trust, voucher }: DrawnNode): NodeTrust {
  if (voucher === null) return 'public'
  return spellVouchers(policy)?.has(voucher) === false ? 'public' : trust
}

export const TRUST = { public: 0, verified: 1, dedicated: 2 } as const

/** Each rule with its condition; the first that is true refuses. */
const RULES: readonly (readonly [
  ComputeRule,
  (policy: Policy, places: ReadonlySet<string>, node: DrawnNode) => boolean,
])[] = [
  ['node.quarantined', (_policy, _places, node) => node.quarantined],
  ['evidence.contradicted', (_policy, _places, node) => node.evidence === 'contradicted'],
  ['compute.allow', (_policy, places, node) => !places.has(node.country)],
  [
    'evidence.min',
    (policy, _places, node) => STRENGTH[node.evidence] < STRENGTH[policy.minEvidence],
  ],
  [
    'evidence.bounds',
    (policy, places, node) =>
      policy.minEvidence === 'bounded' &&
      node.evidence === 'bounded' &&
      !(node.possible.includes(node.country) && node.possible.every((code) => places.has(code))),
  ],
  [
    'data_class.phi',
    (policy, _places, node) => policy.dataClass === 'phi' && standing(policy, node) !== 'dedicated',
  ],
  [
    'data_class.special',
    (policy, _places, node) =>
      policy.dataClass === 'special' && standing(policy, node) === 'public',
  ],
  [
    'data_class.personal',
    (policy, _places, node) =>
      policy.dataClass === 'personal' &&
      standing(policy, node) === 'public' &&
      !policy.personalOnPublicNodes,
  ],
  [
    'node_trust.min',
    (policy, _places, node) => TRUST[standing(policy, node)] < TRUST[policy.nodeTrust],
  ],
  [
    'network.member',
    ({ network }, _places, node) => network !== null && !node.networks.includes(network),
  ],
  ['verification.min', (policy) => policy.verification === 'replicated'],
]

export function judge(
  policy: Policy,
  places: ReadonlySet<string>,
  node: DrawnNode,
): 'allow' | ComputeRule {
  return RULES.find(([, refuses]) => refuses(policy, places, node))?.[0] ?? 'allow'
}
