/** The residency decision: one pure function, which allocates nothing, for Worker, Hub, node and Ledger. */
import {
  EVIDENCE_CLASSES,
  NAMED_VOUCHER,
  NODE_TRUSTS,
  OPERATOR_TENANT,
  type CompiledPolicy,
  type EvidenceClass,
  type NodeTrust,
} from './policy.ts'
import { hasCountry, isSubset, type CountrySet } from './region.ts'

export interface NodeFacts {
  /** A bit of the table in `region.ts`. */
  readonly country: number
  readonly evidence: EvidenceClass
  /** Every country that the evidence leaves possible. */
  readonly possible: CountrySet
  readonly trust: NodeTrust
  /** The tenant whose key vouched for the node and so gave it its trust; the operator for an attested node. */
  readonly voucher: string | null
  /** Consortia that the node belongs to. */
  readonly networks: readonly string[]
  readonly quarantined: boolean
}

/** In the order in which they are tested. */
export const COMPUTE_RULES = [
  'node.quarantined',
  'evidence.contradicted',
  'compute.allow',
  'evidence.min',
  'evidence.bounds',
  'data_class.phi',
  'data_class.special',
  'data_class.personal',
  'node_trust.min',
  'network.member',
  'verification.min',
] as const
export type ComputeRule = (typeof COMPUTE_RULES)[number]

/**
 * Returns `allow`, or the name of the first rule that refuses.
 * @param allowed the job's effective compute set; the policy's own set applies too, so this can only narrow
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
  if (isOutOfBounds(policy, allowed, node)) return 'evidence.bounds'
  const trust = trustUnder(policy, node)
  if (policy.dataClass === 'phi' && trust !== 'dedicated') return 'data_class.phi'
  if (policy.dataClass === 'special' && trust === 'public') return 'data_class.special'
  if (policy.dataClass === 'personal' && trust === 'public' && !policy.personalOnPublicNodes)
    return 'data_class.personal'
  if (NODE_TRUSTS.indexOf(trust) < NODE_TRUSTS.indexOf(policy.nodeTrust)) return 'node_trust.min'
  if (policy.network !== null && !node.networks.includes(policy.network)) return 'network.member'
  // No answer is replicated yet, so no node can satisfy such a policy.
  if (policy.verification !== 'none') return 'verification.min'
  return 'allow'
}

/** The node's trust under the policy: public unless the policy accepts the tenant that vouched for it. */
export function trustUnder(
  { vouchers, tenant }: Pick<CompiledPolicy, 'vouchers' | 'tenant'>,
  { trust, voucher }: Pick<NodeFacts, 'trust' | 'voucher'>,
): NodeTrust {
  if (trust === 'public' || voucher === null) return 'public'
  for (const name of vouchers) {
    if (name === 'anyone') return trust
    if (name === 'own' && voucher === tenant) return trust
    if (name === 'operator' && voucher === OPERATOR_TENANT) return trust
    const isNamed = name.startsWith(NAMED_VOUCHER) && name.endsWith(voucher)
    if (isNamed && name.length === NAMED_VOUCHER.length + voucher.length) return trust
  }
  return 'public'
}

/** Tells whether a request may enter where its TLS ends. No policy's set has the unknown place. */
export function decideIngress(policy: CompiledPolicy, country: number): 'allow' | 'ingress.allow' {
  return hasCountry(policy.ingress, country) ? 'allow' : 'ingress.allow'
}

/** A bound proves something only if every country it leaves possible is allowed. An empty set is no bound. */
function isOutOfBounds(policy: CompiledPolicy, allowed: CountrySet, node: NodeFacts): boolean {
  if (policy.minEvidence !== 'bounded' || node.evidence !== 'bounded') return false
  return (
    !hasCountry(node.possible, node.country) ||
    !isSubset(node.possible, policy.compute) ||
    !isSubset(node.possible, allowed)
  )
}
