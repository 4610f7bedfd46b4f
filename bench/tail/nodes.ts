/** The nodes and the job of a simulation. */
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { NodeId, TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Work } from '#shared/job/job.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type { ChoiceJob } from '#worker/hub/choice/choice.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'

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

export interface Node {
  readonly member: Member
  readonly rttMs: number
  readonly serviceMs: number
}

export const WORK: Work = {
  kind: 'model',
  model: 'simulated',
  digest: `0x${'1'.repeat(64)}`,
  inputs: [],
}

/** More than any job of these mixes takes. */
const TIMEOUT_MS = 60_000

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

export function createNodes(mix: Mix, random: () => number): Map<string, Node> {
  const nodes = Array.from({ length: mix.nodes }, (_, index) => {
    const [least, most] = mix.serviceMs
    const rttMs = mix.rttMs[0] + (mix.rttMs[1] - mix.rttMs[0]) * random()
    const serviceMs = least * (most / least) ** random()
    return { member: createMember(index, rttMs), rttMs, serviceMs }
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
