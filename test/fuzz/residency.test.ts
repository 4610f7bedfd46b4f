/** The residency decision against its oracles; `npm run soak -- residency` runs more cases with other seeds. */
import { describe, expect, it } from 'vitest'
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { COMPUTE_RULES, decide } from '#shared/law/decide.ts'
import { preparseCedar } from '../support/residency/cedar.ts'
import type { Policy } from '#shared/law/policy.ts'
import {
  drawNarrowing,
  drawNode,
  drawPolicy,
  factsOf,
  type DrawnNode,
} from '../support/residency/draw.ts'
import { createLivesSigner, LIVES_OF_A_WORLD, simulateWorld } from '../support/residency/lives.ts'
import { judge, spellCompute } from '../support/residency/oracle.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createRandom } from '../support/random.ts'

const DECISIONS = Number(process.env['LITTORAL_FUZZ_DECISIONS'] ?? 50_000)
const CEDAR_CASES = Number(process.env['LITTORAL_FUZZ_CEDAR'] ?? 4_000)
const LIVES = Number(process.env['LITTORAL_FUZZ_LIVES'] ?? 500)
const SEED = Number(process.env['LITTORAL_FUZZ_SEED'] ?? 1)
/** A soak runs more cases. */
const TIMEOUT_MS = 120_000 + DECISIONS + CEDAR_CASES * 20 + LIVES * 100
/** Nodes that one policy is tried on. */
const NODES = 40

type Verdict = ReturnType<typeof decide>

/** Compares `decide` with another reader of the same policies, on random policies and nodes. */
function compare(
  cases: number,
  readerOf: (policy: Policy, places: Set<string>) => (node: DrawnNode) => Verdict,
): void {
  const seen = countVerdicts()
  for (let n = 0; n < cases / NODES; n += 1) {
    const seed = SEED + n
    const random = createRandom(seed)
    const [policy, narrowTo] = [drawPolicy(random), drawNarrowing(random)]
    const compiled = compilePolicy(policy, { tenant: TENANT, version: 1 })
    const allowed = effectiveCompute(compiled, narrowTo)
    const read = readerOf(policy, spellCompute(policy, narrowTo))
    for (let i = 0; i < NODES; i += 1) {
      const node = drawNode(random)
      const [ours, theirs] = [decide(compiled, allowed, factsOf(node)), read(node)]
      if (ours !== theirs)
        expect.fail(
          `seed ${seed}: ours ${ours}, theirs ${theirs}: ${JSON.stringify({ policy, narrowTo, node })}`,
        )
      seen.add(ours)
    }
  }
  console.log(`${cases} decisions, seeds ${SEED} and up: ${seen.say()}`)
  expect(seen.missing()).toEqual([])
}

describe('a decision', () => {
  it(
    `agrees with the policy's text, rule for rule, in ${DECISIONS} random cases from seed ${SEED}`,
    { timeout: TIMEOUT_MS },
    () => compare(DECISIONS, (policy, places) => (node) => judge(policy, places, node)),
  )

  it(
    `agrees with Cedar, rule for rule, in ${CEDAR_CASES} random cases from seed ${SEED}`,
    { timeout: TIMEOUT_MS },
    () =>
      compare(CEDAR_CASES, (policy, places) => {
        const cedar = preparseCedar(policy, 'differential')
        return (node) => cedar.decide([...places], node)
      }),
  )
})

describe('the life of a request', () => {
  // Only links are simulated: the Worker's dispatch and the hubs' directory, dispatcher, tickets and outbox are real.
  it(
    `[R8] never reaches a node that its policy excludes, in ${LIVES} lives from seed ${SEED}`,
    { timeout: TIMEOUT_MS },
    async () => {
      const signer = await createLivesSigner()
      const total = { lives: 0, deliveries: 0, loads: 0, mixed: 0, retries: 0, events: 0 }
      const ends = new Map<string, number>()
      const violations: string[] = []
      for (let n = 0; n < LIVES / LIVES_OF_A_WORLD; n += 1) {
        const report = await simulateWorld(SEED + n, signer)
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += report[key]
        for (const [end, count] of Object.entries(report.ends))
          ends.set(end, (ends.get(end) ?? 0) + count)
        violations.push(...report.violations)
      }
      console.log(
        `seeds ${SEED} and up: ${JSON.stringify({ ...total, ends: Object.fromEntries(ends) })}`,
      )
      expect(violations).toEqual([])
      // The run must have tried something: deliveries, refusals and retries among nodes of both kinds.
      expect(total.lives).toBeGreaterThanOrEqual(LIVES)
      expect(total.deliveries).toBeGreaterThan(LIVES / 4)
      expect(total.mixed).toBeGreaterThan(LIVES / 4)
      expect(total.retries).toBeGreaterThan(LIVES / 50)
      expect(total.events).toBeGreaterThan(LIVES / 10)
      expect(total.loads).toBeGreaterThan(LIVES / 100)
      for (const end of ['answered', 'residency_unsatisfiable', 'no_capacity', 'node_lost'])
        expect(ends.get(end) ?? 0, end).toBeGreaterThan(0)
    },
  )
})

/** Counts verdicts; a rule that never refused was not tried. */
function countVerdicts() {
  const counts = new Map<string, number>()
  return {
    add: (verdict: string) => void counts.set(verdict, (counts.get(verdict) ?? 0) + 1),
    missing: () => ['allow', ...COMPUTE_RULES].filter((rule) => !counts.has(rule)),
    say: () => [...counts].map(([verdict, count]) => `${verdict} ${count}`).join(', '),
  }
}
