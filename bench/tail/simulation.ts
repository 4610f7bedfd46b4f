/**
 * A hub's jobs over mixed nodes, simulated: the directory, its estimates, the choice and the budget of second nodes are
 * the hub's own code.
 */
import { Directory } from '#worker/hub/members/directory.ts'
import {
  chooseSecond,
  type Choice,
  type ChoiceJob,
  type NodeView,
} from '#worker/hub/choice/choice.ts'
import { createHedgeBudget } from '#worker/hub/choice/hedge-budget.ts'
import { Events } from './events.ts'
import { createJob, createNodes, uniform, WORK, type Mix, type Node } from './nodes.ts'

export type Rule = (nodes: readonly NodeView[], job: ChoiceJob, random: () => number) => Choice

/** How late jobs get a second node. */
export interface Hedging {
  /** Whether a node stops a cancelled job that it computes, or only one that still waits there. */
  readonly stopsAtOnce: boolean
  /** Share of the work that second nodes may cost. @default the hub's */
  readonly share?: number
}

export interface Simulation {
  readonly mix: Mix
  readonly rule: Rule
  readonly seed: number
  /** Share of the nodes' capacity that the jobs need. */
  readonly load: number
  readonly jobs: number
  /** @default no job gets a second node */
  readonly hedging?: Hedging | undefined
}

export interface Outcome {
  /** In ms, sorted. */
  readonly latenciesMs: readonly number[]
  /** Expected work of second nodes, as a share of that of all jobs. */
  readonly extra: number
  /** Second nodes for each job. */
  readonly hedges: number
  /** Time that the nodes computed, in ms. */
  readonly workMs: number
}

/** Share of the jobs whose latencies do not count: until then nodes are measured. */
const WARM_UP = 0.1
/** Least time between two looks whether a job is late; it doubles when no second node could be asked, as in the hub. */
const LOOK_AGAIN_MS = 25

interface Job {
  readonly arrivedMs: number
  readonly attempts: Attempt[]
  isAnswered: boolean
}

interface Attempt {
  readonly job: Job
  readonly node: BusyNode
  readonly sentMs: number
  /** What the hub expects it to compute, and the jobs before it. */
  readonly ownMs: number
  readonly aheadMs: number
  readonly giveBack: () => void
  begunMs: number
  isCancelled: boolean
}

interface BusyNode extends Node {
  readonly queue: Attempt[]
  readonly running: Set<Attempt>
}

export function simulate(simulation: Simulation): Outcome {
  return new SimulatedHub(simulation).run()
}

class SimulatedHub {
  readonly #simulation: Simulation
  readonly #random: () => number
  readonly #chance: () => number
  readonly #directory = new Directory(() => this.#nowMs)
  readonly #nodes = new Map<string, BusyNode>()
  readonly #jobsPerMs: number
  readonly #events = new Events()
  readonly #budget: ReturnType<typeof createHedgeBudget>
  readonly #waiting: Job[] = []
  readonly #latenciesMs: number[] = []
  readonly #job = createJob()
  #nowMs = 0
  #expectedMs = 0
  #extraMs = 0
  #hedges = 0
  #workMs = 0

  constructor(simulation: Simulation) {
    const { mix, seed, load, hedging } = simulation
    this.#simulation = simulation
    this.#random = uniform(seed)
    this.#chance = uniform(seed + 1_000)
    this.#budget = createHedgeBudget(hedging?.share)
    let capacity = 0
    for (const [nodeId, node] of createNodes(mix, this.#random)) {
      this.#directory.add(node.member)
      this.#nodes.set(nodeId, { ...node, queue: [], running: new Set() })
      capacity += mix.lanes / node.serviceMs
    }
    this.#jobsPerMs = capacity * load
  }

  run(): Outcome {
    const { jobs } = this.#simulation
    this.#arrive(jobs)
    for (let event = this.#events.next(); event !== undefined; event = this.#events.next()) {
      this.#nowMs = event.atMs
      event.happen()
    }
    return {
      latenciesMs: this.#latenciesMs.slice(jobs * WARM_UP).toSorted((a, b) => a - b),
      extra: this.#extraMs / this.#expectedMs,
      hedges: this.#hedges / jobs,
      workMs: this.#workMs,
    }
  }

  #after(delayMs: number, happen: () => void): void {
    this.#events.add(this.#nowMs + delayMs, happen)
  }

  #arrive(left: number): void {
    const job = { arrivedMs: this.#nowMs, attempts: [], isAnswered: false }
    if (this.#waiting.length > 0 || !this.#send(job)) this.#waiting.push(job)
    const untilNextMs = -Math.log(1 - this.#random()) / this.#jobsPerMs
    if (left > 1) this.#after(untilNextMs, () => this.#arrive(left - 1))
  }

  /** @returns whether a node took the job */
  #send(job: Job): boolean {
    const views = this.#directory.views(WORK, 1)
    const choice = this.#simulation.rule(views, this.#job, this.#chance)
    if (choice.kind === 'refuse') throw choice.error
    if (choice.kind === 'wait') return false
    const attempt = this.#give(job, choice.nodeId)
    this.#expectedMs += attempt.ownMs
    if (this.#simulation.hedging !== undefined) this.#lookLater(attempt)
    return true
  }

  #give(job: Job, nodeId: string): Attempt {
    const node = this.#nodes.get(nodeId)
    const view = this.#directory.views(WORK, 1).find((each) => each.nodeId === nodeId)
    if (node === undefined || view === undefined) throw new Error(`no node ${nodeId}`)
    const { serviceMs: ownMs, inFlight } = view
    const giveBack = this.#directory.take(nodeId, WORK)
    const [sentMs, aheadMs] = [this.#nowMs, ownMs * inFlight]
    const about = { job, node, sentMs, ownMs, aheadMs, giveBack }
    const attempt: Attempt = { ...about, begunMs: NaN, isCancelled: false }
    job.attempts.push(attempt)
    this.#after(node.rttMs / 2, () => {
      if (attempt.isCancelled) return
      node.queue.push(attempt)
      this.#compute(node)
    })
    return attempt
  }

  #lookLater(attempt: Attempt, leastMs = LOOK_AGAIN_MS): void {
    const { job, node, sentMs } = attempt
    const dueMs = () => this.#directory.lateAtMs(node.member, WORK, { units: 1, sentMs })
    const delayMs = Math.min(1_000, Math.max(leastMs, dueMs() - this.#nowMs))
    this.#after(delayMs, () => {
      if (job.isAnswered) return
      if (dueMs() > this.#nowMs) this.#lookLater(attempt, leastMs)
      else if (!this.#askSecond(attempt)) this.#lookLater(attempt, leastMs * 2)
    })
  }

  #askSecond({ job, node: { member } }: Attempt): boolean {
    const asked = { ...this.#job, tried: new Set([member.presence.nodeId]) }
    const view = chooseSecond(this.#directory.views(WORK, 1), asked, member.admission.reporter)
    if (view === undefined || !this.#budget.spend(view.serviceMs)) return false
    this.#hedges += 1
    this.#extraMs += this.#give(job, view.nodeId).ownMs
    return true
  }

  #compute(node: BusyNode): void {
    const { mix } = this.#simulation
    while (node.running.size < mix.lanes) {
      const attempt = node.queue.shift()
      if (attempt === undefined) return
      const isStraggler = this.#random() < mix.stragglers
      const tookMs = node.serviceMs * (0.8 + 0.4 * this.#random()) * (isStraggler ? 10 : 1)
      attempt.begunMs = this.#nowMs
      node.running.add(attempt)
      this.#after(tookMs, () => {
        if (!node.running.has(attempt)) return
        this.#stop(attempt)
        this.#after(node.rttMs / 2, () => this.#answer(attempt))
      })
    }
  }

  #stop(attempt: Attempt): void {
    attempt.node.running.delete(attempt)
    this.#workMs += this.#nowMs - attempt.begunMs
    this.#compute(attempt.node)
  }

  #answer(attempt: Attempt): void {
    const { job, sentMs, node } = attempt
    attempt.giveBack()
    if (attempt.isCancelled) return
    this.#directory.recordService(node.member, WORK, { ms: this.#nowMs - sentMs, units: 1 })
    this.#directory.answered(node.member)
    this.#budget.earn(this.#directory.ownMs(node.member, WORK, 1) ?? 0)
    this.#latenciesMs.push(this.#nowMs - job.arrivedMs)
    job.isAnswered = true
    for (const other of job.attempts) if (other !== attempt) this.#cancel(other)
    while (this.#waiting[0] !== undefined && this.#send(this.#waiting[0])) this.#waiting.shift()
  }

  #cancel(attempt: Attempt): void {
    const { job, node, sentMs } = attempt
    const ms = this.#nowMs - sentMs
    this.#directory.recordCut(node.member, WORK, { ms, units: 1 })
    attempt.isCancelled = true
    if (job.attempts[0] !== attempt) this.#extraMs -= this.#budget.cutOff(attempt, ms)
    this.#after(node.rttMs / 2, () => {
      const isRunning = node.running.has(attempt)
      if (isRunning && this.#simulation.hedging?.stopsAtOnce !== true) return
      const at = node.queue.indexOf(attempt)
      if (at >= 0) node.queue.splice(at, 1)
      else if (isRunning) this.#stop(attempt)
      // The slot is taken until the hub knows that the node has ended the job.
      this.#after(node.rttMs / 2, attempt.giveBack)
    })
  }
}
