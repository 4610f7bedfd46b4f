/** An oracle of `decide`: the same policies in Cedar (https://www.cedarpolicy.com), written from their text. */
import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { COMPUTE_RULES, type ComputeRule } from '#shared/law/decide.ts'
import type { Policy } from '#shared/law/policy.ts'
import type { DrawnNode } from './draw.ts'
import { spellCompute, spellVouchers, STRENGTH, TRUST } from './oracle.ts'

export interface CedarPolicy {
  /** @param places what the request may still use: the effective set of the job, by name */
  decide(places: readonly string[], node: DrawnNode): 'allow' | ComputeRule
  /** Prepares one decision, so that the returned call is Cedar's work alone. */
  prepare(places: readonly string[], node: DrawnNode): () => 'allow' | ComputeRule
}

const JOB = { type: 'Littoral::Job', id: 'job' }
const RUN = { type: 'Littoral::Action', id: 'run' }

/** Parses the policy once, before any decision. */
export function preparseCedar(policy: Policy, name: string): CedarPolicy {
  const parsed = cedar.preparsePolicySet(name, { staticPolicies: writeCedar(policy) })
  if (parsed.type !== 'success') throw new Error(`Cedar cannot read it: ${JSON.stringify(parsed)}`)
  const prepare: CedarPolicy['prepare'] = (places, node) => {
    const call: cedar.StatefulAuthorizationCall = {
      principal: JOB,
      action: RUN,
      resource: { type: 'Littoral::Node', id: 'node' },
      context: { places: [...places] },
      preparsedPolicySetId: name,
      entities: [entityOf(node)],
    }
    return () => readAnswer(cedar.statefulIsAuthorized(call))
  }
  return { prepare, decide: (places, node) => prepare(places, node)() }
}

function readAnswer(answer: cedar.AuthorizationAnswer): 'allow' | ComputeRule {
  if (answer.type !== 'success') throw new Error(JSON.stringify(answer.errors))
  const { decision, diagnostics } = answer.response
  if (diagnostics.errors.length > 0) throw new Error(JSON.stringify(diagnostics.errors))
  if (decision === 'allow') return 'allow'
  const rule = COMPUTE_RULES.find((candidate) => diagnostics.reason.includes(candidate))
  if (rule === undefined) throw new Error(`denied by ${diagnostics.reason.join(', ')}`)
  return rule
}

function entityOf(node: DrawnNode) {
  const { country, possible, networks, quarantined } = node
  return {
    uid: { type: 'Littoral::Node', id: 'node' },
    attrs: {
      country,
      possible: [...possible],
      networks: [...networks],
      quarantined,
      evidence: STRENGTH[node.evidence],
      trust: TRUST[node.trust],
      voucher: node.voucher ?? '',
    },
    parents: [],
  }
}

/** One Cedar policy per rule, named after it, without the rules that the tenant did not ask for. */
function writeCedar(policy: Policy): Record<string, string> {
  const places = `[${[...spellCompute(policy)].map((code) => `"${code}"`).join(', ')}]`
  const forbid = (when: string) => `forbid (principal, action, resource) when { ${when} };`
  const isInside = (set: string) =>
    `resource.possible.contains(resource.country) && ${set}.containsAll(resource.possible)`
  const counted = spellVouchers(policy)
  const isVouched =
    counted === undefined
      ? 'resource.voucher != ""'
      : `[${[...counted].map((name) => `"${name}"`).join(', ')}].contains(resource.voucher)`
  const isBelow = (trust: keyof typeof TRUST) =>
    forbid(trust === 'public' ? 'false' : `resource.trust < ${TRUST[trust]} || !(${isVouched})`)
  const rules: Record<string, string | false> = {
    run: 'permit (principal, action, resource);',
    'node.quarantined': forbid('resource.quarantined'),
    'evidence.contradicted': forbid(`resource.evidence == ${STRENGTH.contradicted}`),
    'compute.allow': forbid(
      `!(${places}.contains(resource.country) && context.places.contains(resource.country))`,
    ),
    'evidence.min': forbid(`resource.evidence < ${STRENGTH[policy.minEvidence]}`),
    'evidence.bounds':
      policy.minEvidence === 'bounded' &&
      forbid(
        `resource.evidence == ${STRENGTH.bounded} && !(${isInside(places)} && ${isInside('context.places')})`,
      ),
    'data_class.phi': policy.dataClass === 'phi' && isBelow('dedicated'),
    'data_class.special': policy.dataClass === 'special' && isBelow('verified'),
    'data_class.personal':
      policy.dataClass === 'personal' && !policy.personalOnPublicNodes && isBelow('verified'),
    'node_trust.min': isBelow(policy.nodeTrust),
    'network.member':
      policy.network !== null && forbid(`!resource.networks.contains("${policy.network}")`),
    'verification.min': policy.verification === 'replicated' && forbid('true'),
  }
  return Object.fromEntries(
    Object.entries(rules).filter((entry): entry is [string, string] => entry[1] !== false),
  )
}
