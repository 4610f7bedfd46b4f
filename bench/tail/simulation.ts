/** A hub's jobs over mixed nodes, simulated: the directory, its estimates and the choice are the hub's own code. */
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { NodeId, TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Work } from '#shared/job/job.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import type { Choice, ChoiceJob, NodeView } from '#worker/hub/choice/choice.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { Events } from './events.ts'

export type Rule = (nodes: readonly NodeView[], job: ChoiceJob, random: () => number) => Choice

/** What the simulated nodes are like. */
export interface Mix {
  readonly nodes: number
  /** Round trips, uniform in this range. */
  readonly rttMs: readonly [number, number]
  /** Median time of a job on a node, log-uniform in this range; each job varies by a fifth. */
  readonly serviceMs: readonly [number, number]
  /** Share of jobs that take ten times as long. */
  readonly stragglers: number
  /** Jobs that a node computes at once. */
  readonly lanes: number
}

export interface Simulation {
  readonly mix: Mix
  readonly rule: Rule
  readonly seed: number
  /** Share of the nodes' capacity that the jobs need. */
  readonly load: number
  readonly jobs: number
  /** Factor of the arrivals' rate at a time. @default always 1 */
  readonly surge?: (atMs: number) => number
}

export const WORK: Work = {
  kind: 'model',
  model: 'simulated',
  digest: `0x${'1'.repeat(64)}`,
  inputs: [],
}

/** Share of the jobs whose latencies do not count: until then nodes are measured. */
const WARM_UP = 0.1
/** More than any job of these mixes takes. */
const TIMEOUT_MS = 60_000

interface SimulatedNode {
  readonly member: Member
  readonly rttMs: number
  readonly serviceMs: number
  /** When each of its lanes is free. */
  readonly freeAtMs: number[]
}

/** Simulates the jobs one after the other. @returns their latencies in ms, unsorted */
export function simulate({ mix, rule, seed, load, jobs, surge }: Simulation): number[] {
  const random = uniform(seed)
  const chance = uniform(seed + 1_000)
  const clock = { nowMs: 0 }
  const directory = new Directory(() => clock.nowMs)
  const nodes = createNodes(mix, random)
  for (const { member } of nodes.values()) directory.add(member)
  const perMs = [...nodes.values()].reduce((sum, node) => sum + mix.lanes / node.serviceMs, 0)
  const events = new Events()
  const waiting: number[] = []
  const latencies: number[] = []
  const job = createJob()

  /** @returns whether a node took the job */
  const send = (arrivedAtMs: number): boolean => {
    const choice = rule(directory.views(WORK, 1), job, chance)
    if (choice.kind === 'refuse') throw choice.error
    const node = choice.kind === 'node' ? nodes.get(choice.nodeId) : undefined
    if (node === undefined) return false
    const sentAtMs = clock.nowMs
    const giveBack = directory.take(node.member.presence.nodeId, WORK)
    events.add(answerAtMs(node, sentAtMs, mix.stragglers, random), () => {
      giveBack()
      directory.recordService(node.member, WORK, { ms: clock.nowMs - sentAtMs, units: 1 })
      directory.answered(node.member)
      latencies.push(clock.nowMs - arrivedAtMs)
      while (waiting[0] !== undefined && send(waiting[0])) waiting.shift()
    })
    return true
  }
  const arrive = (left: number) => {
    if (waiting.length > 0 || !send(clock.nowMs)) waiting.push(clock.nowMs)
    const rate = perMs * load * (surge?.(clock.nowMs) ?? 1)
    if (left > 1) events.add(clock.nowMs - Math.log(1 - random()) / rate, () => arrive(left - 1))
  }
  arrive(jobs)
  for (let event = events.next(); event !== undefined; event = events.next()) {
    clock.nowMs = event.atMs
    event.happen()
  }
  return latencies.slice(jobs * WARM_UP)
}

/** Computes one job on the lane that is free first. @returns when its answer is back */
function answerAtMs(
  { rttMs, serviceMs, freeAtMs }: SimulatedNode,
  sentAtMs: number,
  stragglers: number,
  random: () => number,
): number {
  const tookMs = serviceMs * (0.8 + 0.4 * random()) * (random() < stragglers ? 10 : 1)
  const lane = freeAtMs.indexOf(Math.min(...freeAtMs))
  const doneAtMs = Math.max(sentAtMs + rttMs / 2, freeAtMs[lane] ?? 0) + tookMs
  freeAtMs[lane] = doneAtMs
  return doneAtMs + rttMs / 2
}

/** A job that any node may take. */
export function createJob(): ChoiceJob {
  const draft = asPolicy({ id: 'tail', dataClass: 'public', compute: { allow: ['EU'], deny: [] } })
  const policy = compilePolicy(draft, { tenant: TenantId.parse('bench'), version: 1 })
  return {
    policy,
    allowed: effectiveCompute(policy, undefined),
    work: WORK,
    tried: new Set(),
    nodeId: null,
    leftMs: TIMEOUT_MS,
  }
}

export function createNodes(mix: Mix, random: () => number): Map<string, SimulatedNode> {
  const nodes = Array.from({ length: mix.nodes }, (_, index) => {
    const [least, most] = mix.serviceMs
    const rttMs = mix.rttMs[0] + (mix.rttMs[1] - mix.rttMs[0]) * random()
    const serviceMs = least * (most / least) ** random()
    const freeAtMs = Array.from({ length: mix.lanes }, () => 0)
    return { member: createMember(index, rttMs), rttMs, serviceMs, freeAtMs }
  })
  return new Map(nodes.map((node) => [node.member.presence.nodeId, node]))
}

function createMember(index: number, rttMs: number): Member {
  const nodeId = NodeId.parse(`12D3KooW${String(index).padStart(44, 'x').replaceAll('0', 'z')}`)
  return {
    admission: { nodeId, claim: 'DE', networks: [], voucher: null, reporter: nodeId },
    evidence: standsAt(placeIn('DE')),
    // The hub's own count of slots stands for the jobs in flight.
    link: { rttMs: () => rttMs, inFlight: () => 0 } as Partial<Member['link']> as Member['link'],
    presence: {
      version: 1,
      nodeId,
      kind: 'local',
      receiptKey: { x: `0x${'1'.repeat(64)}`, y: `0x${'2'.repeat(64)}` },
      claim: 'DE',
      adapter: { name: 'simulated', isSoftware: true },
      models: [{ id: 'simulated', digest: WORK.digest, provider: 'cpu', serviceMs: 1 }],
      kernels: 'any',
      maxJobs: LIMITS.nodeJobsInFlight,
      sequence: 1,
      issuedAtMs: 0,
    },
    signedPresence: { record: '', signature: '' },
    quarantine: null,
    jobsDone: 0,
    serviceMs: new Map(),
  }
}

/** Seeded numbers, uniform in [0, 1) (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
