/** Measures one residency decision: ours, Cedar's with policies parsed before, and casbin's. All three must agree. */
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { decide } from '#shared/law/decide.ts'
import { TenantId } from '#shared/base/ids.ts'
import { createRandom } from '#test/support/random.ts'
import { preparseCedar } from '#test/support/residency/cedar.ts'
import {
  drawNarrowing,
  drawNode,
  drawPolicy,
  factsOf,
  OWN_TENANT,
} from '#test/support/residency/draw.ts'
import { spellCompute } from '#test/support/residency/oracle.ts'
import type { BenchContext } from '../harness/context.ts'
import { measureSection, type BenchResult, type Contender } from '../harness/harness.ts'
import { createCasbin } from '../policy/casbin.ts'

const POLICIES = 64
const NODES = 32
const METRIC = 'decision µs'
const INCLUDES = {
  decide:
    '`decide` of shared/law/decide.ts over a compiled policy: the verdict and the rule that refused',
  'Cedar, preparsed':
    '`statefulIsAuthorized` of @cedar-policy/cedar-wasm over a policy set that was parsed before; the node is its only entity, and the verdict names the rules that refused',
  casbin: '`enforceSync` of casbin with one matcher; the verdict only',
}

interface Case {
  readonly ours: () => string
  readonly cedar: () => string
  readonly casbin: () => boolean
}

export async function measurePolicy({ quick }: BenchContext): Promise<BenchResult> {
  const cases = await drawCases()
  const answers = agree(cases)
  // Repetitions of all three then take about the same time.
  const turns = quick ? { ours: 20, slow: 1 } : { ours: 400, slow: 2 }
  const contenders: Contender[] = [
    contender('decide', cases, { run: ({ ours }) => ours(), turns: turns.ours }),
    contender('Cedar, preparsed', cases, { run: ({ cedar }) => cedar(), turns: turns.slow }),
    contender('casbin', cases, { run: ({ casbin }) => casbin(), turns: turns.slow }),
  ]
  const section = await measureSection({
    name: `${cases.length} cases of ${POLICIES} policies, in this process`,
    contenders,
    comparisons: ['Cedar, preparsed', 'casbin'].map((peer) => ({
      of: 'decide',
      to: peer,
      metric: METRIC,
    })),
    rounds: quick ? 3 : 9,
  })
  return {
    name: 'policy',
    title: 'time of one residency decision',
    sections: [section],
    includes: INCLUDES,
    notes: [
      `All three agree on all cases: ${answers.allowed} allowed, ${answers.refused} refused; ours and Cedar also on the rule.`,
      'Calls are prepared before the clock starts; the figure includes how each engine takes and decides them.',
    ],
  }
}

async function drawCases(): Promise<Case[]> {
  const casbin = await createCasbin()
  return Array.from({ length: POLICIES }, (_, n) => {
    const random = createRandom(n + 1)
    const [policy, narrowTo] = [drawPolicy(random), drawNarrowing(random)]
    const compiled = compilePolicy(policy, { tenant: TenantId.parse(OWN_TENANT), version: 1 })
    const allowed = effectiveCompute(compiled, narrowTo)
    const places = [...spellCompute(policy, narrowTo)]
    const cedar = preparseCedar(policy, `bench-${n}`)
    return Array.from({ length: NODES }, () => {
      const node = drawNode(random)
      const facts = factsOf(node)
      return {
        ours: () => decide(compiled, allowed, facts),
        cedar: cedar.prepare(places, node),
        casbin: casbin.prepare(policy, narrowTo, node),
      }
    })
  }).flat()
}

/** @throws where the engines disagree: a comparison would mean nothing */
function agree(cases: readonly Case[]): { allowed: number; refused: number } {
  let allowed = 0
  for (const [index, { ours, cedar, casbin }] of cases.entries()) {
    const verdict = ours()
    if (cedar() !== verdict || casbin() !== (verdict === 'allow'))
      throw new Error(`case ${index}: ours ${verdict}, Cedar ${cedar()}, casbin ${casbin()}`)
    if (verdict === 'allow') allowed += 1
  }
  return { allowed, refused: cases.length - allowed }
}

function contender(
  name: keyof typeof INCLUDES,
  cases: readonly Case[],
  { run, turns }: { readonly run: (one: Case) => string | boolean; readonly turns: number },
): Contender {
  return {
    name,
    run() {
      let allowed = 0
      const startedMs = performance.now()
      for (let turn = 0; turn < turns; turn += 1) {
        for (const one of cases) if (run(one) === 'allow') allowed += 1
      }
      const tookMs = performance.now() - startedMs
      // The count is read, so that V8 cannot drop the calls.
      if (allowed > turns * cases.length) throw new Error('more were allowed than asked')
      return Promise.resolve({ [METRIC]: [(tookMs * 1000) / (turns * cases.length)] })
    },
  }
}
