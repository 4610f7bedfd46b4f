/**
 * Chooses the node for a job. New rules about that belong here: a condition that a node must meet in `isFit`, a
 * preference in `costMs`. What a rule has to know is a field of `NodeView`, which `hub/members/roster.ts` fills in. Pure.
 */
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { decide, type NodeFacts } from '#shared/law/decide.ts'
import { nearestRefusal, neededNode, unsatisfied } from '#shared/law/explain.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { CountrySet } from '#shared/law/region.ts'

/**
 * Share of the jobs that go to a node that has answered no such work yet, if one is free. Comparing all nodes would
 * leave out those whose assumed time is not among the best.
 */
const EXPLORED = 1 / 64

/** Weight of the jobs before it on a node. Chosen by `npm run bench -- tail`. */
const QUEUE_WEIGHT = 2.5

export interface NodeView {
  readonly nodeId: string
  readonly facts: NodeFacts
  readonly models: readonly AdmittedModel[]
  readonly kernels: 'any' | readonly string[]
  /** WebGPU features that its kernels may enable. @default none */
  readonly features?: readonly string[] | undefined
  readonly maxJobs: number
  readonly inFlight: number
  /** Time since its last job ended, or since it got one after it had none; with jobs in flight only. @default 0 */
  readonly headMs?: number
  /** Of these, jobs of this work. @default 0 */
  readonly ofThisWork?: number
  /** Most jobs of this work at once. @default maxJobs */
  readonly slots?: number
  /** Round trip on the held stream, measured. */
  readonly rttMs: number
  /** Expected time of this work on this node without the round trip, measured by the hub. */
  readonly serviceMs: number
  /** Whether `serviceMs` was measured. A guess ranks nodes, but refuses no job. */
  readonly isMeasured: boolean
  /** Who runs it. Nodes of one reporter may stall together. */
  readonly reporter?: string
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

/** @param random uniform in [0, 1); breaks ties, and says when a node that was never measured is tried */
export function chooseNode(
  nodes: readonly NodeView[],
  job: ChoiceJob,
  random: () => number,
): Choice {
  const best = job.isLast === true ? undefined : chooseAmongAll(nodes, job, random)
  return best === undefined ? chooseCarefully(nodes, job) : { kind: 'node', nodeId: best.nodeId }
}

/** One pass over all nodes for the usual case: some node is free, in time, and has nothing against it. */
function chooseAmongAll(
  nodes: readonly NodeView[],
  job: ChoiceJob,
  random: () => number,
): NodeView | undefined {
  const from = Math.floor(random() * nodes.length)
  const mayExplore = job.tried.size === 0 && job.nodeId === null && random() >= 1 - EXPLORED
  const explored = mayExplore ? cheapest(nodes, { from, isFit: isWorthATry, job }) : undefined
  return explored ?? cheapest(nodes, { from, isFit, job })
}

/**
 * A second node for a job that is late on another: the one that is expected to answer first, and of another reporter if
 * there is one. Only measured nodes are fit, and it never waits.
 */
export function chooseSecond(
  nodes: readonly NodeView[],
  job: ChoiceJob,
  reporter: string,
): NodeView | undefined {
  const isSure = (node: NodeView) => node.isMeasured && isFit(node, job)
  const isOthers = (node: NodeView) => node.reporter !== reporter && isSure(node)
  const pass = { from: 0, job, costOf: predictMs }
  return (
    cheapest(nodes, { ...pass, isFit: isOthers }) ?? cheapest(nodes, { ...pass, isFit: isSure })
  )
}

interface Pass {
  /** Index of the first node; of equals, the first is taken. */
  readonly from: number
  readonly isFit: (node: NodeView, job: ChoiceJob) => boolean
  readonly job: ChoiceJob
  /** At least the node's round trip, in ms. @default costMs */
  readonly costOf?: (node: NodeView) => number
}

/** The fit node that costs least. Only nodes that would be the best so far are tested, since the tests cost most. */
function cheapest(
  nodes: readonly NodeView[],
  { from, isFit: fits, job, costOf = costMs }: Pass,
): NodeView | undefined {
  let best: NodeView | undefined
  let leastMs = Infinity
  for (let n = 0; n < nodes.length; n += 1) {
    const node = nodes[from + n < nodes.length ? from + n : from + n - nodes.length]
    // Most nodes are too far already.
    if (node === undefined || node.rttMs >= leastMs) continue
    const ms = costOf(node)
    if (ms >= leastMs || !fits(node, job)) continue
    best = node
    leastMs = ms
  }
  return best
}

function isFit(node: NodeView, job: ChoiceJob): boolean {
  return (
    hasRoom(node) &&
    isInTime(node, predictMs(node), job) &&
    node.isSuspect !== true &&
    node.isBehind !== true &&
    isAble(node, job) &&
    isAllowed(node, job)
  )
}

/** Trying a node must leave time for another one. */
function isWorthATry(node: NodeView, job: ChoiceJob): boolean {
  return !node.isMeasured && predictMs(node) <= job.leftMs / 2 && isFit(node, job)
}

function isAllowed({ facts }: NodeView, { policy, allowed }: ChoiceJob): boolean {
  return decide(policy, allowed, facts) === 'allow'
}

function isAble(node: NodeView, { tried, nodeId, work }: ChoiceJob): boolean {
  return (
    !tried.has(node.nodeId) && (nodeId === null || nodeId === node.nodeId) && canRun(node, work)
  )
}

/** For last attempts, and where no node was found: takes a node of lower rank, waits, or says why not. */
function chooseCarefully(nodes: readonly NodeView[], job: ChoiceJob): Choice {
  const [heard, silent] = [new Tally(job), new Tally(job)]
  let proven = new Tally(job)
  let best = -Infinity
  let allowed = 0
  for (const node of nodes) {
    if (!isAllowed(node, job)) continue
    allowed += 1
    if (!isAble(node, job)) continue
    const { isSuspect = false, standing = 1 } = node
    if (isSuspect) silent.add(node)
    else heard.add(node)
    if (standing > best) {
      best = standing
      proven = new Tally(job)
    }
    if (standing === best) proven.add(node)
  }
  if (allowed === 0) return refuseAll(nodes, job)
  const able = heard.isEmpty ? silent : heard
  if (able.isEmpty)
    return unable(
      job,
      nodes.filter((node) => isAllowed(node, job)),
    )
  const choice = job.isLast === true ? proven.choice() : undefined
  return choice === undefined || choice.kind === 'refuse' ? able.choice() : choice
}

/** Ranks of a free node. */
const AHEAD = 0
const BEHIND = 1
const LATE = 2

/** Of the nodes added, the cheapest that is free and fast enough, or whether to wait for one that is fast enough. */
class Tally {
  readonly #job: ChoiceJob
  #best: NodeView | undefined
  #rank = LATE
  #leastMs = Infinity
  #isWorthWaiting = false
  #isBusy = true
  isEmpty = true

  constructor(job: ChoiceJob) {
    this.#job = job
  }

  add(node: NodeView): void {
    this.isEmpty = false
    if (node.inFlight < node.maxJobs) this.#isBusy = false
    if (!hasRoom(node)) {
      this.#isWorthWaiting ||= isInTime(node, node.rttMs + node.serviceMs, this.#job)
      return
    }
    const isLate = !isInTime(node, predictMs(node), this.#job)
    const rank = isLate ? LATE : node.isBehind === true ? BEHIND : AHEAD
    const ms = costMs(node)
    if (rank > this.#rank || (rank === this.#rank && ms >= this.#leastMs)) return
    this.#best = node
    this.#rank = rank
    this.#leastMs = ms
  }

  choice(): Choice {
    if (this.#best !== undefined && this.#rank < LATE)
      return { kind: 'node', nodeId: this.#best.nodeId }
    if (this.#best === undefined || this.#isWorthWaiting)
      return { kind: 'wait', isBusy: this.#isBusy }
    return refuse(tooLate(this.#job, predictMs(this.#best)))
  }
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

type Timed = Pick<NodeView, 'rttMs' | 'serviceMs' | 'inFlight'>

/** When the job's answer would come. */
export function predictMs({ rttMs, serviceMs, inFlight }: Timed): number {
  return rttMs + serviceMs * (1 + inFlight)
}

/**
 * Cost of the job on a node: its own time, and what is left of the jobs before it when it arrives. That counts more than
 * once, since each job also delays later ones. Without that, near nodes fill up until waiting there takes as long as
 * reaching a far node. A job that takes longer than it should is assumed to need as long again as it is late.
 */
export function costMs({
  rttMs,
  serviceMs,
  inFlight,
  headMs = 0,
}: Timed & Pick<NodeView, 'headMs'>): number {
  if (inFlight === 0) return rttMs + serviceMs
  const headLeftMs = headMs < serviceMs ? serviceMs - headMs : headMs - serviceMs - rttMs
  const leftMs = serviceMs * (inFlight - 1) + Math.max(0, headLeftMs)
  return rttMs + serviceMs + QUEUE_WEIGHT * leftMs
}

/** Why none of the nodes is allowed. */
function refuseAll(nodes: readonly NodeView[], job: ChoiceJob): Choice {
  if (nodes.length > 0) return refuse(unsatisfiable(nodes, job))
  const meta = { retryAfterSeconds: 5 }
  return refuse(new AppError('no_capacity', 'No node is connected to this hub.', { meta }), {
    hasNoNodes: true,
  })
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
