/** Explains decisions: why a node is refused, and what would have been needed. Pure; `decide.ts` has the rules. */
import { nameCountries } from './country-words.ts'
import { COMPUTE_RULES, decide, trustUnder, type ComputeRule, type NodeFacts } from './decide.ts'
import { NODE_TRUSTS, type CompiledPolicy, type NodeTrust } from './policy.ts'
import { countryCode, intersect, NO_COUNTRY, without, type CountrySet } from './region.ts'

/** A sentence names at most this many countries of refused nodes. */
const NAMED_COUNTRIES = 12

export interface JobPlaces {
  readonly policy: CompiledPolicy
  /** The policy's compute set, narrowed by the request. */
  readonly allowed: CountrySet
}

/** The refusal of the nearest nodes: of the rules that refused a node, the one that is tested last. */
export interface Refusal {
  readonly rule: ComputeRule
  /** Where the nodes that this rule refused stand. */
  readonly countries: readonly string[]
  /** Number of nodes that each rule refused. */
  readonly refusals: Readonly<Partial<Record<ComputeRule, number>>>
}

/** @returns undefined when one node is allowed, or there is none */
export function nearestRefusal(nodes: readonly NodeFacts[], job: JobPlaces): Refusal | undefined {
  const refused = new Map<ComputeRule, NodeFacts[]>()
  for (const node of nodes) {
    const verdict = decide(job.policy, job.allowed, node)
    if (verdict === 'allow') return undefined
    refused.set(verdict, [...(refused.get(verdict) ?? []), node])
  }
  const rule = COMPUTE_RULES.findLast((candidate) => refused.has(candidate))
  if (rule === undefined) return undefined
  const countries = new Set((refused.get(rule) ?? []).map(({ country }) => countryCode(country)))
  const refusals = Object.fromEntries([...refused].map(([name, those]) => [name, those.length]))
  return { rule, countries: [...countries].toSorted(), refusals }
}

/** `a node in AT, DE with evidence observed or better, verified or better for personal data` */
export function neededNode({ policy, allowed }: JobPlaces): string {
  const trust = leastTrust(policy)
  return [
    `a node in ${nameCountries(intersect(policy.compute, allowed))} with evidence ${policy.minEvidence} or better`,
    `${trust === 'public' ? 'of any trust' : trust === 'dedicated' ? 'dedicated' : `${trust} or better`} for ${policy.dataClass} data`,
    ...(trust === 'public' ? [] : [`vouched for by ${policy.vouchers.join(' or ')}`]),
    ...(policy.network === null ? [] : [`of network ${policy.network}`]),
    ...(policy.verification === 'none'
      ? []
      : ['whose answers are replicated, which no node can give yet']),
  ].join(', ')
}

/** `it needs a node in …, and none is connected; nearest: FR (compute.allow)` */
export function unsatisfied(refusal: Refusal, job: JobPlaces): string {
  const nearest = refusal.countries.slice(0, NAMED_COUNTRIES).join(', ')
  return `it needs ${neededNode(job)}, and none is connected; nearest: ${nearest} (${refusal.rule})`
}

/** Why this node may or may not run the job: a sentence without its subject. */
export function explainVerdict(
  verdict: 'allow' | ComputeRule,
  { policy, allowed }: JobPlaces,
  node: NodeFacts,
): string {
  const country = countryCode(node.country)
  const trust = trustUnder(policy, node)
  const standing =
    trust === node.trust
      ? `is ${trust}`
      : `is vouched for by a tenant that does not count here (vouchers: ${policy.vouchers.join(', ')}), and so is public`
  switch (verdict) {
    case 'allow':
      return `stands in ${country} by ${node.evidence} evidence and meets every rule of the policy`
    case 'node.quarantined':
      return 'is in quarantine and gets no work'
    case 'evidence.contradicted':
      return `claims ${country}, and its connection says otherwise`
    case 'compute.allow':
      return `stands in ${country}, and the job may run ${whereTo(intersect(policy.compute, allowed))}`
    case 'evidence.min':
      return `has ${node.evidence} evidence of its place; the policy asks for ${policy.minEvidence} or better`
    case 'evidence.bounds':
      return `is bounded to ${nameCountries(node.possible)}, of which the job may not run in ${nameCountries(without(node.possible, intersect(policy.compute, allowed)))}`
    case 'data_class.phi':
      return `${standing}; phi runs on dedicated nodes only`
    case 'data_class.special':
      return `${standing}; special data never reaches public nodes`
    case 'data_class.personal':
      return `${standing}; personal data reaches public nodes only where the policy says personalOnPublicNodes`
    case 'node_trust.min':
      return `${standing}; the policy asks for ${policy.nodeTrust} or better`
    case 'network.member':
      return `is not of network ${policy.network ?? ''}`
    case 'verification.min':
      return 'answers alone; the policy asks for replicated answers, which no node can give yet'
  }
}

function whereTo(set: CountrySet): string {
  return set === NO_COUNTRY ? 'nowhere' : `in ${nameCountries(set)} only`
}

/** `a TLS connection that ends in AT, DE` */
export function neededIngress({ ingress }: Pick<CompiledPolicy, 'ingress'>): string {
  return `a TLS connection that ends in ${nameCountries(ingress)}`
}

/** The least trust that satisfies both the policy's own minimum and its data class. */
export function leastTrust({
  nodeTrust,
  dataClass,
  personalOnPublicNodes,
}: Pick<CompiledPolicy, 'nodeTrust' | 'dataClass' | 'personalOnPublicNodes'>): NodeTrust {
  const byClass: NodeTrust =
    dataClass === 'phi'
      ? 'dedicated'
      : dataClass === 'special' || (dataClass === 'personal' && !personalOnPublicNodes)
        ? 'verified'
        : 'public'
  return NODE_TRUSTS.indexOf(byClass) > NODE_TRUSTS.indexOf(nodeTrust) ? byClass : nodeTrust
}

/** The least trust that applies, with the written one where that is lower. */
export function effectiveTrust(policy: Parameters<typeof leastTrust>[0]): string {
  const trust = leastTrust(policy)
  return trust === policy.nodeTrust
    ? trust
    : `${trust}, since the data is ${policy.dataClass} (written: ${policy.nodeTrust})`
}
