/** Simulates jobs over mixed nodes with the hub's own choice and three others, and times one choice among 500 nodes. */
import { chooseNode, predictMs, type NodeView } from '#worker/hub/choice/choice.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'
import { quantile } from '../harness/statistics.ts'
import { createJob, createNodes, uniform, WORK, type Mix } from '../tail/nodes.ts'
import { simulate, type Hedging, type Outcome, type Rule } from '../tail/simulation.ts'

const MIX: Mix = {
  nodes: 64,
  rttMs: [5, 180],
  serviceMs: [18, 200],
  stragglers: 0.01,
  lanes: 1,
}
const LOADS = [0.3, 0.55, 0.8]
const SPEED_NODES = 500
/** Jobs in flight on those nodes while a choice is timed. */
const SPEED_JOBS = 600
const OURS = 'hub'
const RULES: Readonly<Record<string, Rule>> = {
  [OURS]: chooseNode,
  'two at random': bestOf(2),
  'four at random': bestOf(4),
  'all nodes': bestOf(Infinity),
}
/** A cancelled job ends on its node between two pieces of its work, or not before its end. */
const AT_ONCE: Hedging = { stopsAtOnce: true }
const CONTENDERS: readonly (readonly [string, Rule, Hedging?])[] = [
  [OURS, chooseNode, AT_ONCE],
  ['hub, jobs run on', chooseNode, { stopsAtOnce: false }],
  ['hub, no second node', chooseNode],
  ...Object.entries(RULES).filter(([name]) => name !== OURS),
]
/** Shares of extra work for the curve. */
const SHARES = [0.005, 0.01, 0.02, 0.04]
const LATENCIES = { p50Ms: 0.5, p99Ms: 0.99, 'p99.9Ms': 0.999 }

export async function measureTail({ quick }: BenchContext): Promise<BenchResult> {
  const rounds = quick ? 3 : 15
  const jobs = quick ? 2_000 : 8_000
  const sections: Section[] = []
  for (const load of LOADS) {
    sections.push(
      await measureSection({
        name: `${MIX.nodes} nodes at ${Math.round(load * 100)} % load, ${jobs} jobs; each round is a seed`,
        contenders: CONTENDERS.map(([name, rule, hedging]) =>
          simulated(name, (seed) => simulate({ mix: MIX, rule, seed, load, jobs, hedging })),
        ),
        comparisons: Object.keys(LATENCIES).flatMap((metric) => comparisons(metric)),
        rounds,
        warmUps: 0,
      }),
    )
  }
  const [, load = 0.55] = LOADS
  sections.push(
    await measureSection({
      name: `the hub at ${Math.round(load * 100)} % load, by the extra work allowed`,
      contenders: SHARES.map((share) =>
        simulated(`${share * 100} %`, (seed) => {
          const hedging = { ...AT_ONCE, share }
          return simulate({ mix: MIX, rule: chooseNode, seed, load, jobs, hedging })
        }),
      ),
      comparisons: [],
      rounds,
      warmUps: 0,
    }),
    await measureSection({
      name: `one choice among ${SPEED_NODES} nodes, in this process`,
      contenders: Object.entries(RULES).map(([name, rule]) =>
        timed(name, rule, quick ? 500 : 5_000),
      ),
      comparisons: comparisons('choice µs'),
      rounds,
    }),
  )
  return {
    name: 'tail',
    title: 'latency by the rule that chooses the node',
    sections,
    includes: {
      [OURS]:
        '`chooseNode` of worker/hub/choice/choice.ts: all nodes, by `costMs`; a late job gets a second node',
      'hub, jobs run on': 'the same, if a node cannot stop a job that it computes',
      'hub, no second node': 'the choice alone',
      'two at random': 'of two random free nodes, the one with the earlier expected answer',
      'four at random': 'the same with four',
      'all nodes': 'the same with all',
    },
    notes: [
      `Round trips ${MIX.rttMs.join('–')} ms, jobs ${MIX.serviceMs.join('–')} ms by node, ${MIX.stragglers * 100} % of the jobs ten times as long; a node computes one job at a time.`,
      "Directory, slots and estimates are the hub's own for all four; the others skip the policy.",
      'A choice is timed by the CPU time of this process.',
    ],
  }
}

function comparisons(metric: string) {
  const peers = Object.keys(RULES).filter((name) => name !== OURS)
  return peers.map((to) => ({ of: OURS, to, metric }))
}

function simulated(name: string, run: (seed: number) => Outcome): Contender {
  let seed = 0
  return {
    name,
    run() {
      seed += 1
      const { latenciesMs, extra, hedges, workMs } = run(seed)
      const latencies = Object.entries(LATENCIES)
      return Promise.resolve({
        ...Object.fromEntries(
          latencies.map(([metric, part]) => [metric, [quantile(latenciesMs, part)]]),
        ),
        'extra work %': [extra * 100],
        'second nodes %': [hedges * 100],
        'computed s': [workMs / 1_000],
      })
    },
  }
}

function timed(name: string, rule: Rule, turns: number): Contender {
  const random = uniform(1)
  let nowMs = 0
  const directory = new Directory(() => nowMs)
  const nodes = [...createNodes({ ...MIX, nodes: SPEED_NODES }, random).values()]
  for (const { member } of nodes) directory.add(member)
  for (let answer = 0; answer < 4; answer += 1) {
    for (const { member, rttMs, serviceMs } of nodes) {
      nowMs += 1
      directory.recordService(member, WORK, { ms: rttMs + serviceMs, units: 1 })
      directory.answered(member)
    }
  }
  for (let taken = 0; taken < SPEED_JOBS; taken += 1) {
    const node = nodes[Math.floor(random() * nodes.length)]
    if (node !== undefined) directory.take(node.member.presence.nodeId, WORK)
  }
  const job = createJob()
  return {
    name,
    run() {
      let found = 0
      const before = process.cpuUsage()
      for (let turn = 0; turn < turns; turn += 1) {
        nowMs += 1
        if (rule(directory.views(WORK, 1), job, random).kind === 'node') found += 1
      }
      const took = process.cpuUsage(before)
      if (found < turns) throw new Error('no node was chosen')
      return Promise.resolve({ 'choice µs': [(took.user + took.system) / turns] })
    },
  }
}

/** The node with the earliest expected answer of this many random ones that are free. */
function bestOf(most: number): Rule {
  return (nodes, _job, random) => {
    const free = nodes.filter(hasRoom)
    const best = sample(free, most, random).reduce<NodeView | undefined>(
      (a, b) => (a === undefined || predictMs(b) < predictMs(a) ? b : a),
      undefined,
    )
    if (best === undefined) return { kind: 'wait', isBusy: true }
    return { kind: 'node', nodeId: best.nodeId }
  }
}

function hasRoom({ inFlight, maxJobs, ofThisWork = 0, slots = maxJobs }: NodeView): boolean {
  return inFlight < maxJobs && ofThisWork < slots
}

function sample(nodes: NodeView[], most: number, random: () => number): NodeView[] {
  if (nodes.length <= most) return nodes
  return Array.from({ length: most }, () =>
    nodes.splice(Math.floor(random() * nodes.length), 1),
  ).flat()
}
