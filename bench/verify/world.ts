/** The simulated nodes and jobs. The same seed makes the same world for all rules. */
import { CheckedNode } from '#worker/checking/checked-node.ts'
import type { Joining } from '#worker/checking/checking.ts'
import type { Liar } from './liars.ts'

export interface WorldPlan {
  readonly seed: number
  readonly nodes: number
  /** Jobs whose fate is counted. Afterwards as many follow, so that held pay is decided. */
  readonly jobs: number
  /** Milliseconds between two jobs. */
  readonly tickMs: number
}

/** Share of vouched nodes, all honest. */
const VOUCHED = 0.05
/** Nodes compute at speeds of one to this. */
const MOST_SPEED = 4
/** Public nodes join within this part of the jobs. */
const JOINING = 0.1
/** Shares of the classes of devices. */
const DEVICES = [0.4, 0.7, 0.9, 1]
const KIND = 'simulated'

/** Share of valuable jobs, and their price and work in units of the others'. */
const VALUABLE = 0.1
export const VALUABLE_PRICE = 5
const REPEATED = 0.05
/** Share of inputs on which one class of devices answers slightly beside the tolerance: 1e-4 of honest pairs. */
const HARD = 2.8e-4

export interface SimulatedNode {
  core: CheckedNode
  readonly index: number
  readonly liar: Liar | undefined
  readonly isVouched: boolean
  readonly speed: number
  readonly device: number
  joinsMs: number
  /** New keys so far. */
  keys: number
  /** Jobs that its present key has answered. */
  answers: number
  firstServedMs: number
  /** Has standing now. */
  isProven: boolean
  /** Work for its entry and that of each new key, unpaid. */
  entryWork: number
  paid: number
}

/** A job, used again for each: nothing is allocated for a job. */
export interface SimulatedJob {
  isValuable: boolean
  isRepeated: boolean
  /** The class of devices that answers beside the tolerance, or none. */
  oddDevice: number
  price: number
}

export function createNodes(plan: WorldPlan, liar: Liar, random: () => number): SimulatedNode[] {
  const liars = Math.round(plan.nodes * (liar.share ?? 0.05))
  const vouched = Math.max(3, Math.round(plan.nodes * VOUCHED))
  return Array.from({ length: plan.nodes }, (_, index) => {
    const isLiar = index < liars
    const isVouched = index >= plan.nodes - vouched
    const speed = Math.ceil(random() * MOST_SPEED) * (isLiar ? (liar.speed ?? 1) : 1)
    const draw = random()
    const joinsMs = isVouched ? 0 : random() * JOINING * plan.jobs * plan.tickMs
    const node = {
      index,
      liar: isLiar ? liar : undefined,
      isVouched,
      speed,
      device: DEVICES.findIndex((upTo) => draw < upTo),
      joinsMs,
      keys: 0,
      answers: 0,
      firstServedMs: NaN,
      isProven: false,
      entryWork: 0,
      paid: 0,
    }
    return { ...node, core: strangerOf(index) }
  })
}

/** The present key of a node, as it joins. */
export function joiningOf({ index, keys, liar, isVouched }: SimulatedNode): Joining {
  const isOne = liar?.reporters === 'one'
  const place = isOne ? 'ring' : liar?.returns === 'new reporter' ? `${index}.${keys}` : `${index}`
  return {
    key: `key ${index}.${keys}`,
    kind: KIND,
    reporter: `reporter ${place}`,
    network: `network ${isOne ? index : place}`,
    isVouched,
  }
}

export function drawJob(job: SimulatedJob, random: () => number): void {
  job.isValuable = random() < VALUABLE
  job.isRepeated = random() < REPEATED
  job.oddDevice = random() < HARD ? Math.floor(random() * DEVICES.length) : -1
  job.price = job.isValuable ? VALUABLE_PRICE : 1
}

/** Claims: the right one, one slightly beside it, and the common lie of a ring. Others lie each in their way. */
export const RIGHT = 0
const BESIDE = -1
const RING_LIE = -2

export function answerOf(node: SimulatedNode, job: SimulatedJob, random: () => number): number {
  const { liar, index, device } = node
  if (liar?.lies(node, job, random) === true) return liar.isRing === true ? RING_LIE : index + 1
  return device === job.oddDevice ? BESIDE : RIGHT
}

export function isWrong(claim: number): boolean {
  return claim !== RIGHT && claim !== BESIDE
}

/** Placeholder until the node joins. */
function strangerOf(index: number): CheckedNode {
  const standing = {
    agreed: 0,
    passed: 0,
    needed: 1,
    origin: 'earned' as const,
    sinceMs: null,
    suspicion: 0,
    losses: 0,
    lostAt: 0,
    convictedAtMs: null,
  }
  const name = `stranger ${index}`
  return new CheckedNode(
    { key: name, reporter: name, network: name, kind: KIND, standing, lots: [], siblings: 0 },
    0,
  )
}
