/** Simulates liars among honest nodes under the rules of worker/checking, beside BOINC's and two copies of each job. */
import type { BenchContext } from '../harness/context.ts'
import { measureSection, type BenchResult, type Contender } from '../harness/harness.ts'
import { quantile } from '../harness/statistics.ts'
import { LIARS, type Liar } from './liars.ts'
import { adaptive, always, simulatePeer } from './peers.ts'
import { simulate, type Mode } from './simulation.ts'
import type { Tally } from './tally.ts'
import type { WorldPlan } from './world.ts'

/** A forced pass reads all tokens at once; taken as this part of generating them, until it is measured. */
const FORCED_PASS = 0.25

type Rule = (plan: WorldPlan, liar: Liar) => Tally

const sampled = ruleOf('sampled')
/** Figures of the peers, which convict nobody. */
const PEER_FIGURES: readonly string[] = [
  'extra work %',
  'wrong, paid, per million',
  'wrong, delivered, per million',
  'income of a liar',
]
const PEERS: Readonly<Record<string, Rule>> = {
  'BOINC adaptive': (plan, liar) => simulatePeer(plan, liar, adaptive),
  'two copies': (plan, liar) => simulatePeer(plan, liar, always),
}
/** Fewer nodes, so that each has ten times as many jobs. */
const LONG_NODES = 100
/** Liars that agree are the only ones that two copies cannot find. */
const REPLICATED = ['honest for 200', 'ring of 20 %']
const SMALL_RING = 'ring of 5 %'

export async function measureVerify({ quick }: BenchContext): Promise<BenchResult> {
  const [jobs, nodes, rounds] = quick ? [100_000, 200, 1] : [1_000_000, 1_000, 3]
  const plan = { nodes, jobs, tickMs: 1_000 / nodes }
  const long = { nodes: quick ? 20 : LONG_NODES, jobs, tickMs: 1_000 / LONG_NODES }
  const sectionOf = (name: string, contenders: readonly Contender[]) =>
    measureSection({ name, contenders, comparisons: [], rounds, warmUps: 0 })
  const of = (rule: Rule, world: Omit<WorldPlan, 'seed'> = plan) =>
    LIARS.map((liar) => simulated(liar, world, rule))
  const leak = LIARS.filter(({ name }) => name === 'slow leak')
  return {
    name: 'verify',
    title: 'liars among honest nodes',
    sections: [
      await sectionOf(`sampled: ${jobs} jobs, ${nodes} nodes; each round is a seed`, of(sampled)),
      await sectionOf(
        `sampled, ${long.nodes} nodes with ten times as many jobs`,
        leak.map((liar) => simulated(liar, long, sampled)),
      ),
      await sectionOf(
        'replicated: every answer waits for another',
        replicatedLiars().map((liar) => simulated(liar, plan, ruleOf('replicated'))),
      ),
      ...(await Promise.all(
        Object.entries(PEERS).map(([name, rule]) => sectionOf(name, of(rule).map(asPeer))),
      )),
    ],
    includes: {
      sampled: 'the rules of worker/checking: standing, rate, checker, verdict, held pay',
      replicated: 'the same, with two answers of independent nodes for each job',
      'BOINC adaptive': 'a copy of each job below ten valid results, then of one in that many',
      'two copies': 'each job twice, and again until two agree',
    },
    notes: [
      'Work is in parts of the work of all jobs: copies, juries and entries. Text: a check is a forced pass, taken as a quarter of the work.',
      'Income: of a liar without the work for its entries, divided by an honest node’s, at equal speed. Pay that is undecided after as many more jobs counts as paid.',
      'A verdict comes 1 s after the answer, 2 s when the nodes differ. 5 % of the nodes are vouched for and honest; the others join in the first tenth.',
      'Seeded: the figures do not depend on the machine.',
    ],
  }
}

function ruleOf(mode: Mode): Rule {
  return (plan, liar) => simulate(plan, liar, mode)
}

function replicatedLiars(): Liar[] {
  const chosen = LIARS.filter(({ name }) => REPLICATED.includes(name))
  const rings = chosen.filter(({ isRing }) => isRing === true)
  return [...chosen, ...rings.map((ring) => ({ ...ring, name: SMALL_RING, share: 0.05 }))]
}

function simulated(liar: Liar, world: Omit<WorldPlan, 'seed'>, rule: Rule): Contender {
  let seed = 0
  return {
    name: liar.name,
    run() {
      seed += 1
      return Promise.resolve(figuresOf(rule({ ...world, seed }, liar)))
    },
  }
}

function asPeer(contender: Contender): Contender {
  return {
    name: contender.name,
    async run() {
      const figures = Object.entries(await contender.run())
      return Object.fromEntries(figures.filter(([metric]) => PEER_FIGURES.includes(metric)))
    },
  }
}

function figuresOf(tally: Tally) {
  const extra = (tally.checkWork + tally.entryWork) / tally.work
  return {
    'extra work %': [100 * extra],
    'extra work, text %': [100 * FORCED_PASS * extra],
    'wrong, paid, per million': [(1e6 * tally.wrongPaid) / tally.jobs],
    'wrong, delivered, per million': [(1e6 * tally.wrongDelivered) / tally.jobs],
    'income of a liar': [tally.incomeRatio],
    'honest convicted': [tally.honestConvicted],
    'liars convicted': [tally.liarsConvicted],
    'first jobMs': [quantile(tally.firstJobMs, 0.5)],
    'first job, p99Ms': [quantile(tally.firstJobMs, 0.99)],
  }
}
