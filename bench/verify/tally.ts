/** What is counted in a simulation, and the figures that follow. */
import type { PaidAnswers } from './paid-answers.ts'
import type { SimulatedNode } from './world.ts'

export interface Tally {
  jobs: number
  /** Work of all jobs, in units of a job of the usual price. */
  work: number
  checks: number
  checkWork: number
  entryWork: number
  disputes: number
  wrongDelivered: number
  wrongPaid: number
  /** Replicated jobs whose nodes did not agree. */
  unanswered: number
  honestConvicted: number
  liarsConvicted: number
  suspected: number
  /** Income of a liar without the work for its entries, divided by an honest node's, at equal speed. */
  incomeRatio: number
  /** Share of the honest nodes' pay that was undecided at the end. */
  undecided: number
  /** From joining to the first job, of honest newcomers. */
  firstJobMs: number[]
}

export function createTally(): Tally {
  return {
    jobs: 0,
    work: 0,
    checks: 0,
    checkWork: 0,
    entryWork: 0,
    disputes: 0,
    wrongDelivered: 0,
    wrongPaid: 0,
    unanswered: 0,
    honestConvicted: 0,
    liarsConvicted: 0,
    suspected: 0,
    incomeRatio: 0,
    undecided: 0,
    firstJobMs: [],
  }
}

export interface Ended {
  readonly nodes: readonly SimulatedNode[]
  readonly paid: PaidAnswers
}

export function finishTally(tally: Tally, { nodes, paid }: Ended): void {
  paid.releaseAll()
  const liars = nodes.filter(({ liar }) => liar !== undefined)
  const honest = nodes.filter(({ liar, isVouched }) => liar === undefined && !isVouched)
  tally.wrongPaid = paid.wrong
  tally.undecided = paid.undecided / tally.work
  tally.incomeRatio = incomeOf(liars) / incomeOf(honest)
  tally.firstJobMs = honest
    .map(({ firstServedMs, joinsMs }) => firstServedMs - joinsMs)
    .filter((ms) => !Number.isNaN(ms))
    .toSorted((a, b) => a - b)
}

/** Income for each unit of real speed. */
function incomeOf(nodes: readonly SimulatedNode[]): number {
  let [income, speed] = [0, 0]
  for (const node of nodes) {
    income += node.paid - (node.liar === undefined ? 0 : node.entryWork)
    speed += node.speed / (node.liar?.speed ?? 1)
  }
  return income / speed
}
