/** The residency decision in casbin: one matcher over attributes of policy and node. It names no rule. */
import { newEnforcer, newModelFromString } from 'casbin'
import type { Policy } from '#shared/law/policy.ts'
import type { DrawnNode } from '#test/support/residency/draw.ts'
import { spellCompute, spellVouchers } from '#test/support/residency/oracle.ts'

const STRENGTH = { contradicted: 0, declared: 1, observed: 2, bounded: 3, attested: 4 }
const TRUST = { public: 0, verified: 1, dedicated: 2 }

const MATCHER = [
  'p.act == "run"',
  '!r.node.quarantined',
  'r.node.evidence > 0',
  'isIn(r.job.compute, r.node.country)',
  'isIn(r.job.places, r.node.country)',
  'r.node.evidence >= r.job.minEvidence',
  '(r.job.minEvidence != 3 || r.node.evidence != 3 || areIn(r.job.places, r.node))',
  '(r.job.leastTrust == 0 || r.node.trust >= r.job.leastTrust && isVouched(r.job.vouchers, r.node.voucher))',
  '(r.job.network == "" || isIn(r.node.networks, r.job.network))',
  'r.job.verification == "none"',
].join(' && ')

const MODEL = `
[request_definition]
r = job, node
[policy_definition]
p = act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = ${MATCHER}
`

export interface CasbinEngine {
  prepare(policy: Policy, narrowTo: readonly string[] | undefined, node: DrawnNode): () => boolean
}

export async function createCasbin(): Promise<CasbinEngine> {
  const enforcer = await newEnforcer(newModelFromString(MODEL))
  await enforcer.addPolicy('run')
  await enforcer.addFunction('isIn', (set: ReadonlySet<string>, name: string) => set.has(name))
  await enforcer.addFunction('areIn', (set: ReadonlySet<string>, node: { possible: string[] }) =>
    node.possible.every((code) => set.has(code)),
  )
  await enforcer.addFunction(
    'isVouched',
    (names: ReadonlySet<string> | 'anyone', voucher: string | null) =>
      voucher !== null && (names === 'anyone' || names.has(voucher)),
  )
  return {
    prepare(policy, narrowTo, node) {
      const job = jobOf(policy, narrowTo)
      const facts = {
        ...node,
        networks: new Set(node.networks),
        evidence: STRENGTH[node.evidence],
        trust: TRUST[node.trust],
      }
      // A bound that excludes its own country leaves no country.
      if (!node.possible.includes(node.country)) facts.possible = ['nowhere']
      return () => enforcer.enforceSync(job, facts)
    },
  }
}

function jobOf(policy: Policy, narrowTo: readonly string[] | undefined) {
  const { dataClass, nodeTrust, personalOnPublicNodes, network, verification } = policy
  const isOpen = dataClass === 'public' || (dataClass === 'personal' && personalOnPublicNodes)
  const byClass = dataClass === 'phi' ? TRUST.dedicated : isOpen ? TRUST.public : TRUST.verified
  return {
    compute: spellCompute(policy),
    places: spellCompute(policy, narrowTo),
    minEvidence: STRENGTH[policy.minEvidence],
    vouchers: spellVouchers(policy) ?? 'anyone',
    leastTrust: Math.max(byClass, TRUST[nodeTrust]),
    network: network ?? '',
    verification,
  }
}
