/** Simulates jobs over nodes of which some lie, with the real rules of worker/checking. */
import type { CheckedNode } from '#worker/checking/checked-node.ts'
import { chooseChecker, isIndependent } from '#worker/checking/checker.ts'
import { Checking, type Effect } from '#worker/checking/checking.ts'
import { canServe } from '#worker/checking/standing.ts'
import { judge, type Outcome, type Vote } from '#worker/checking/verdict.ts'
import { Events } from '../tail/events.ts'
import { uniform } from '../tail/nodes.ts'
import type { Liar } from './liars.ts'
import { PaidAnswers } from './paid-answers.ts'
import { createTally, finishTally, type Tally } from './tally.ts'
import { Wheel } from './wheel.ts'
import {
  answerOf,
  createNodes,
  drawJob,
  isWrong,
  joiningOf,
  type SimulatedJob,
  type SimulatedNode,
  type WorldPlan,
} from './world.ts'

/** From an answer to its check, and from a difference to its verdict. */
const CHECK_MS = 1_000
/** Before a convicted liar comes back with a new key. */
const RETURN_MS = 10_000

export type Mode = 'sampled' | 'replicated'

export function simulate(plan: WorldPlan, liar: Liar, mode: Mode = 'sampled'): Tally {
  return new Simulation(plan, liar, mode).run()
}

class Simulation {
  readonly #plan: WorldPlan
  readonly #mode: Mode
  readonly #random: () => number
  readonly #lieRandom: () => number
  readonly #checking: Checking
  readonly #checkRandom: () => number
  readonly #nodes: SimulatedNode[]
  readonly #byCore = new Map<CheckedNode, SimulatedNode>()
  readonly #proven: CheckedNode[] = []
  readonly #wheel = new Wheel()
  readonly #paid = new PaidAnswers()
  readonly #events = new Events()
  readonly #copies: SimulatedNode[] = []
  readonly #tally = createTally()
  readonly #job: SimulatedJob = { isValuable: false, isRepeated: false, oddDevice: -1, price: 1 }
  #nowMs = 0
  #earliestMs = Infinity
  #isCounted = true

  constructor(plan: WorldPlan, liar: Liar, mode: Mode) {
    this.#plan = plan
    this.#mode = mode
    this.#random = uniform(plan.seed)
    this.#lieRandom = uniform(plan.seed + 1_000)
    this.#checkRandom = uniform(plan.seed + 2_000)
    this.#checking = new Checking({ nowMs: () => this.#nowMs, random: this.#checkRandom })
    this.#nodes = createNodes(plan, liar, this.#random)
    for (const node of this.#nodes) this.#at(node.joinsMs, () => this.#arrive(node))
  }

  run(): Tally {
    const { jobs, tickMs } = this.#plan
    for (let index = 0; index < 2 * jobs; index += 1) {
      this.#nowMs = index * tickMs
      this.#isCounted = index < jobs
      if (this.#earliestMs <= this.#nowMs) this.#happen()
      this.#serve()
    }
    finishTally(this.#tally, { nodes: this.#nodes, paid: this.#paid })
    return this.#tally
  }

  #at(atMs: number, happen: () => void): void {
    this.#events.add(atMs, happen)
    this.#earliestMs = Math.min(this.#earliestMs, atMs)
  }

  #happen(): void {
    for (;;) {
      const event = this.#events.next()
      this.#earliestMs = event?.atMs ?? Infinity
      if (event === undefined) return
      if (event.atMs > this.#nowMs) return this.#at(event.atMs, event.happen)
      event.happen()
    }
  }

  #arrive(node: SimulatedNode): void {
    node.core = this.#checking.join(joiningOf(node))
    this.#byCore.set(node.core, node)
    if (canServe(node.core.standing)) this.#admit(node)
    else this.#enter(node)
  }

  #admit(node: SimulatedNode): void {
    node.isProven = true
    this.#proven.push(node.core)
    this.#wheel.add(node)
  }

  /** A newcomer gets a canary and a copy of another's job in turn. */
  #enter(node: SimulatedNode): void {
    const { core } = node
    if (!this.#checking.isEntryDue(core)) return
    this.#at(core.entryDueMs, () => this.#enter(node))
    node.entryWork += 1
    node.answers += 1
    if (this.#isCounted) this.#tally.entryWork += 1
    if (core.standing.agreed % 2 === 1) {
      this.#copies.push(node)
      return
    }
    drawJob(this.#job, this.#random)
    const isRight = !isWrong(answerOf(node, this.#job, this.#lieRandom))
    this.#take(isRight ? this.#checking.agree(core) : this.#checking.lose(core, true))
  }

  #serve(): void {
    const node = this.#wheel.draw(this.#random)
    if (node === undefined) return
    drawJob(this.#job, this.#random)
    const { price } = this.#job
    const isChecked = this.#checking.isChecked(node.core, price) || this.#mode === 'replicated'
    const vote = this.#vote(node)
    const copy = this.#copyFor(node)
    const votes = [vote]
    if (copy !== undefined) votes.push(this.#vote(copy, true))
    const outcome = isChecked || copy !== undefined ? this.#ask(votes) : undefined
    if (Number.isNaN(node.firstServedMs)) node.firstServedMs = this.#nowMs
    if (this.#isCounted) this.#count(vote, outcome)
    if (outcome !== undefined) this.#at(this.#nowMs + CHECK_MS, () => this.#compare(votes, outcome))
  }

  /** A newcomer that gets a copy of this node's job. */
  #copyFor({ core }: SimulatedNode): SimulatedNode | undefined {
    const next = this.#copies.at(-1)
    if (next === undefined || !isIndependent(next.core, [core])) return undefined
    return this.#copies.pop()
  }

  #count({ claim }: Vote<CheckedNode>, outcome: Outcome | undefined): void {
    const tally = this.#tally
    tally.jobs += 1
    tally.work += this.#job.price
    const isHeldBack = this.#mode === 'replicated'
    const told = isHeldBack && outcome !== undefined && 'claim' in outcome ? outcome.claim : claim
    if (isHeldBack && outcome?.kind === 'inconclusive') tally.unanswered += 1
    else if (isWrong(told)) tally.wrongDelivered += 1
  }

  /** Asks independent nodes with standing until the votes decide. */
  #ask(votes: Vote<CheckedNode>[]): Outcome {
    if (this.#isCounted) this.#tally.checks += 1
    for (;;) {
      const outcome = judge(votes, false)
      if (outcome.kind !== 'open') return outcome
      const checker = chooseChecker(this.#proven, {
        answered: votes.map(({ node }) => node),
        isAllowed: ({ standing }) => canServe(standing),
        random: this.#checkRandom,
      })
      const node = checker === undefined ? undefined : this.#byCore.get(checker)
      if (node === undefined) return judge(votes, true)
      votes.push(this.#vote(node))
      if (this.#isCounted) this.#tally.checkWork += this.#job.price
    }
  }

  #vote(node: SimulatedNode, isUnpaid = false): Vote<CheckedNode> {
    const claim = answerOf(node, this.#job, this.#lieRandom)
    // A newcomer's copy is counted where it was given.
    if (isUnpaid) return { node: node.core, claim }
    node.answers += 1
    const { price } = this.#job
    const passed = this.#checking.hold(node.core, price)
    this.#paid.hold(node, { passed, price, isWrong: isWrong(claim), isCounted: this.#isCounted })
    return { node: node.core, claim }
  }

  /** Two nodes that differ get no jobs until others have decided. */
  #compare(votes: readonly Vote<CheckedNode>[], outcome: Outcome): void {
    if (outcome.kind === 'agreed') return this.#conclude(votes, outcome)
    const paused = votes.slice(0, 2).flatMap(({ node }) => this.#byCore.get(node) ?? [])
    for (const node of paused) this.#wheel.remove(node)
    this.#at(this.#nowMs + CHECK_MS, () => {
      for (const node of paused) if (canServe(node.core.standing)) this.#wheel.add(node)
      this.#conclude(votes, outcome)
    })
  }

  #conclude(votes: readonly Vote<CheckedNode>[], outcome: Outcome): void {
    if (outcome.kind === 'settled') this.#tally.disputes += 1
    const told = 'claim' in outcome ? outcome.claim : 0
    const isGross = ({ claim }: Vote<CheckedNode>) => isWrong(claim) || isWrong(told)
    for (const effect of this.#checking.apply(votes, outcome, isGross)) this.#take(effect)
  }

  #take({ node: core, kind, released }: Effect): void {
    const node = this.#byCore.get(core)
    if (node === undefined || node.core !== core) return
    if (released !== undefined) this.#paid.release(node, released.passed)
    if (kind === 'agreed' && !node.isProven && canServe(core.standing)) this.#admit(node)
    if (kind === 'suspected') this.#tally.suspected += 1
    if (kind !== 'convicted') return
    this.#paid.void(node)
    this.#wheel.remove(node)
    if (node.isProven) this.#proven.splice(this.#proven.indexOf(core), 1)
    node.isProven = false
    if (node.liar === undefined) this.#tally.honestConvicted += 1
    else this.#tally.liarsConvicted += 1
    this.#return(node)
  }

  #return(node: SimulatedNode): void {
    if (node.liar?.returns === undefined) return
    node.keys += 1
    node.answers = 0
    node.joinsMs = this.#nowMs + RETURN_MS
    this.#at(node.joinsMs, () => this.#arrive(node))
  }
}
