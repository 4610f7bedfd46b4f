/** The same nodes and jobs under two simple rules: BOINC's adaptive replication, and two copies of every job. */
import { uniform } from '../tail/nodes.ts'
import type { Liar } from './liars.ts'
import { createTally, finishTally, type Tally } from './tally.ts'
import { PaidAnswers } from './paid-answers.ts'
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

/** Consecutive valid results from which BOINC trusts a host (https://github.com/BOINC/boinc/wiki/AdaptiveReplication). */
const TRUSTED_FROM = 10
/** Copies of one job, as BOINC bounds them. */
const MOST_COPIES = 8

/** Whether a job of a node with this many consecutive valid results is copied. */
export type Replication = (valid: number, random: () => number) => boolean

export const adaptive: Replication = (valid, random) => valid < TRUSTED_FROM || random() < 1 / valid
export const always: Replication = () => true

export function simulatePeer(plan: WorldPlan, liar: Liar, isCopied: Replication): Tally {
  return new PeerSimulation(plan, liar, isCopied).run()
}

class PeerSimulation {
  readonly #plan: WorldPlan
  readonly #isCopied: Replication
  readonly #random: () => number
  readonly #lieRandom: () => number
  readonly #checkRandom: () => number
  readonly #nodes: SimulatedNode[]
  readonly #valid: Int32Array
  readonly #wheel = new Wheel()
  readonly #tally = createTally()
  readonly #job: SimulatedJob = { isValuable: false, isRepeated: false, oddDevice: -1, price: 1 }
  #wrongPaid = 0

  constructor(plan: WorldPlan, liar: Liar, isCopied: Replication) {
    this.#plan = plan
    this.#isCopied = isCopied
    this.#random = uniform(plan.seed)
    this.#lieRandom = uniform(plan.seed + 1_000)
    this.#checkRandom = uniform(plan.seed + 2_000)
    this.#nodes = createNodes(plan, liar, this.#random)
    this.#valid = new Int32Array(plan.nodes)
  }

  run(): Tally {
    const arrivals = this.#nodes.toSorted((a, b) => b.joinsMs - a.joinsMs)
    for (let index = 0; index < this.#plan.jobs; index += 1) {
      const nowMs = index * this.#plan.tickMs
      for (let node = arrivals.at(-1); node !== undefined; node = arrivals.at(-1)) {
        if (node.joinsMs > nowMs) break
        arrivals.pop()
        // These rules know no standing: a node is believed from its first answer.
        node.core.standing = { ...node.core.standing, sinceMs: nowMs }
        this.#wheel.add(node)
      }
      this.#serve(nowMs)
    }
    finishTally(this.#tally, { nodes: this.#nodes, paid: new PaidAnswers() })
    this.#tally.wrongPaid = this.#wrongPaid
    return this.#tally
  }

  #serve(nowMs: number): void {
    const node = this.#wheel.draw(this.#random)
    if (node === undefined) return
    drawJob(this.#job, this.#random)
    const tally = this.#tally
    tally.jobs += 1
    tally.work += this.#job.price
    if (Number.isNaN(node.firstServedMs)) node.firstServedMs = nowMs
    const claim = this.#answer(node)
    if (this.#isCopied(this.#valid[node.index] ?? 0, this.#checkRandom))
      return this.#replicate(node, claim)
    node.paid += this.#job.price
    if (!isWrong(claim)) return
    tally.wrongDelivered += 1
    this.#wrongPaid += 1
  }

  /** Copies go out until two agree; those who gave that answer are paid. */
  #replicate(first: SimulatedNode, firstClaim: number): void {
    const voters = [{ node: first, claim: firstClaim }]
    const { price } = this.#job
    this.#tally.checks += 1
    let agreed: number | undefined
    for (let copies = 1; copies < MOST_COPIES && agreed === undefined; copies += 1) {
      const node = this.#other(voters.map((voter) => voter.node))
      if (node === undefined) break
      const claim = this.#answer(node)
      this.#tally.checkWork += price
      if (voters.some((voter) => voter.claim === claim)) agreed = claim
      voters.push({ node, claim })
    }
    if (agreed === undefined) this.#tally.unanswered += 1
    else if (isWrong(agreed)) this.#tally.wrongDelivered += 1
    for (const { node, claim } of voters) {
      const isValid = claim === agreed
      this.#valid[node.index] = isValid ? (this.#valid[node.index] ?? 0) + 1 : 0
      if (!isValid) continue
      node.paid += price
      if (isWrong(claim)) this.#wrongPaid += 1
    }
  }

  #answer(node: SimulatedNode): number {
    node.answers += 1
    return answerOf(node, this.#job, this.#lieRandom)
  }

  /** Another user's node, as BOINC can ask for. */
  #other(voters: readonly SimulatedNode[]): SimulatedNode | undefined {
    for (let draw = 0; draw < 32; draw += 1) {
      const node = this.#wheel.draw(this.#checkRandom)
      if (node === undefined || voters.includes(node)) continue
      const { reporter } = joiningOf(node)
      if (voters.every((voter) => joiningOf(voter).reporter !== reporter)) return node
    }
    return undefined
  }
}
