/**
 * Which node gets a job, and the place for a new rule about that. A node that must not get the job is filtered out in
 * `chooseNode`; a preference between nodes belongs in `chooseFrom`. What a rule has to know is a field of `NodeView`,
 * which `hub/members/directory.ts` fills in. Pure.
 */
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { decide, type NodeFacts } from '#shared/law/decide.ts'
import { nearestRefusal, neededNode, unsatisfied } from '#shared/law/explain.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { CountrySet } from '#shared/law/region.ts'

/** Nodes that are compared for one job. */
const ELIGIBLE_SAMPLE = 4

export interface NodeView {
  readonly nodeId: string
  readonly facts: NodeFacts
  readonly models: readonly AdmittedModel[]
  readonly kernels: 'any' | readonly string[]
  /** WebGPU features that its kernels may enable. @default none */
  readonly features?: readonly string[] | undefined
  readonly maxJobs: number
  readonly inFlight: number
  /** Of these, jobs of this work. @default 0 */
  readonly ofThisWork?: number
  /** Most jobs of this work at once. @default maxJobs */
  readonly slots?: number
  /** Round trip on the held stream, measured. */
  readonly rttMs: number
  /** Moving average of this work's time on this node, sensitive to peaks, measured by the hub. */
  readonly serviceMs: number
  /** Whether `serviceMs` was measured. A guess ranks nodes, but refuses no job. */
  readonly isMeasured: boolean
  /** Whether it was silent on a job or failed one a moment ago. It then gets work only if no other node can take it. */
  readonly isSuspect?: boolean
  /** Whether it has failed jobs and never answered one. It then gets work only if no other node is free. */
  readonly isBehind?: boolean
  /** How reliably it has answered here; 0 for a silent node. @default 1 */
  readonly standing?: number
}

export interface ChoiceJob {
  readonly policy: CompiledPolicy
  readonly allowed: CountrySet
  readonly work: Work
  /** Nodes that already failed this job. */
  readonly tried: ReadonlySet<string>
  /** The only node that may take it; null for any. */
  readonly nodeId: string | null
  readonly leftMs: number
  /** Whether this is the last attempt, which goes to the node of the best standing. */
  readonly isLast?: boolean
}

export type Choice =
  | { readonly kind: 'node'; readonly nodeId: string }
  /** Some node could run it, but each is busy or has used up its slots for this work. */
  | { readonly kind: 'wait'; readonly isBusy: boolean }
  | {
      readonly kind: 'refuse'
      readonly error: AppError
      readonly hasNoNodes: boolean
      /** Whether only a feature is missing, so that waiting cannot help. */
      readonly lacksFeatures: boolean
    }

/** @param random uniform in [0, 1); picks the sample of eligible nodes that are compared */
export function chooseNode(
  nodes: readonly NodeView[],
  job: ChoiceJob,
  random: () => number,
): Choice {
  const allowed = nodes.filter(({ facts }) => decide(job.policy, job.allowed, facts) === 'allow')
  if (nodes.length === 0)
    return refuse(
      new AppError('no_capacity', 'No node is connected to this hub.', {
        meta: { retryAfterSeconds: 5 },
      }),
      { hasNoNodes: true },
    )
  if (allowed.length === 0) return refuse(unsatisfiable(nodes, job))
  const able = allowed.filter(
    (node) =>
      !job.tried.has(node.nodeId) &&
      (job.nodeId === null || job.nodeId === node.nodeId) &&
      canRun(node, job.work),
  )
  if (able.length === 0) return unable(job, allowed)
  const heard = able.filter((node) => node.isSuspect !== true)
  const choice = job.isLast === true ? chooseFrom(ofBestStanding(able), job, random) : undefined
  if (choice !== undefined && choice.kind !== 'refuse') return choice
  return chooseFrom(heard.length > 0 ? heard : able, job, random)
}

/** Chooses the nearest node that is free and fast enough, or waits for one that is fast enough. */
function chooseFrom(nodes: readonly NodeView[], job: ChoiceJob, random: () => number): Choice {
  const free = nodes.filter(hasRoom)
  const inTime = free.filter((node) => isInTime(node, predictMs(node), job))
  const ahead = inTime.filter(({ isBehind }) => isBehind !== true)
  const best = nearest(sample(ahead.length > 0 ? ahead : inTime, random))
  if (best !== undefined) return { kind: 'node', nodeId: best.nodeId }
  const late = nearest(sample(free, random))
  const isWorthWaiting = nodes.some(
    (node) => !hasRoom(node) && isInTime(node, predictMs({ ...node, inFlight: 0 }), job),
  )
  if (late === undefined || isWorthWaiting)
    return { kind: 'wait', isBusy: nodes.every(({ inFlight, maxJobs }) => inFlight >= maxJobs) }
  return refuse(tooLate(job, predictMs(late)))
}

function ofBestStanding(nodes: readonly NodeView[]): NodeView[] {
  const standingOf = ({ standing = 1 }: NodeView) => standing
  const best = Math.max(...nodes.map(standingOf))
  return nodes.filter((node) => standingOf(node) === best)
}

function hasRoom({ inFlight, maxJobs, ofThisWork = 0, slots = maxJobs }: NodeView): boolean {
  return inFlight < maxJobs && ofThisWork < slots
}

function isInTime({ isMeasured }: NodeView, predictedMs: number, { leftMs }: ChoiceJob): boolean {
  return !isMeasured || predictedMs <= leftMs
}

/** Whether a node offers this exact model or runs this kernel. */
export function canRun(
  node: {
    readonly models: readonly Pick<AdmittedModel, 'id' | 'digest'>[]
    readonly kernels: NodeView['kernels']
    readonly features?: NodeView['features']
  },
  work: Work,
): boolean {
  if (work.kind === 'kernel')
    return (
      (node.kernels === 'any' || node.kernels.includes(work.digest)) &&
      (work.requires ?? []).every((name) => node.features?.includes(name))
    )
  if (work.kind === 'library') return node.kernels === 'any'
  return node.models.some((model) => model.id === work.model && model.digest === work.digest)
}

export function predictMs(node: Pick<NodeView, 'rttMs' | 'serviceMs' | 'inFlight'>): number {
  return node.rttMs + node.serviceMs * (1 + node.inFlight)
}

function nearest(nodes: readonly NodeView[]): NodeView | undefined {
  let best: NodeView | undefined
  for (const node of nodes) if (best === undefined || predictMs(node) < predictMs(best)) best = node
  return best
}

function sample(nodes: readonly NodeView[], random: () => number): NodeView[] {
  const pool = [...nodes]
  const taken: NodeView[] = []
  while (pool.length > 0 && taken.length < ELIGIBLE_SAMPLE) {
    taken.push(...pool.splice(Math.floor(random() * pool.length), 1))
  }
  return taken
}

function unsatisfiable(nodes: readonly NodeView[], job: ChoiceJob): AppError {
  const refusal = nearestRefusal(
    nodes.map(({ facts }) => facts),
    job,
  )
  invariant(refusal !== undefined, 'nodes of which none is allowed are refused by a rule')
  const { policy } = job
  const detail = `Policy ${policy.id} v${policy.version} allows none of the connected nodes: ${unsatisfied(refusal, job)}.`
  return new AppError('residency_unsatisfiable', detail, {
    meta: { rule: refusal.rule, needed: neededNode(job), refusals: refusal.refusals },
  })
}

function unable(job: ChoiceJob, allowed: readonly NodeView[]): Choice {
  if (job.nodeId !== null)
    return refuse(
      new AppError('no_capacity', `Node ${job.nodeId} has left or is no longer allowed.`),
    )
  const what = 'model' in job.work ? `has model ${job.work.model}` : whatRuns(job.work)
  const again = job.tried.size > 0 ? ` that has not already failed it (${job.tried.size} did)` : ''
  const detail = `The policy allows ${allowed.length} connected node(s), but none ${what}${again}.`
  const missing = missingFeatures(job.work, allowed)
  if (missing === undefined)
    return refuse(new AppError('no_capacity', detail, { meta: { retryAfterSeconds: 5 } }))
  const meta = { rule: 'kernel.requires', needed: `a node with ${missing.join(', ')}` }
  return refuse(new AppError('no_capacity', detail, { meta }), { lacksFeatures: true })
}

/** The features a kernel lacks on nodes that would otherwise run it; undefined if more is missing. */
function missingFeatures(work: Work, allowed: readonly NodeView[]): readonly string[] | undefined {
  if (work.kind !== 'kernel') return undefined
  const runs = allowed.filter((node) => canRun(node, { ...work, requires: [] }))
  if (runs.length === 0 || runs.some((node) => canRun(node, work))) return undefined
  return work.requires
}

function whatRuns(work: Exclude<Work, { model: string }>): string {
  const { requires = [] } = work.kind === 'kernel' ? work : {}
  return requires.length === 0
    ? 'runs this kernel'
    : `runs this kernel, which requires ${requires.join(', ')}`
}

function tooLate(job: ChoiceJob, predictedMs: number): AppError {
  return new AppError(
    'deadline_unmeetable',
    `The nearest free node would answer in about ${Math.ceil(predictedMs)} ms; ${Math.max(0, Math.floor(job.leftMs))} ms are left. Allow more time, or try again when the network is less busy.`,
    { meta: { predictedMs: Math.ceil(predictedMs), retryAfterSeconds: 1 } },
  )
}

function refuse(
  error: AppError,
  { hasNoNodes = false, lacksFeatures = false }: Partial<Extract<Choice, { kind: 'refuse' }>> = {},
): Choice {
  return { kind: 'refuse', error, hasNoNodes, lacksFeatures }
}
