/** The nodes that lie, each kind with the rule by which it does. */
import { canServe } from '#worker/checking/standing.ts'
import type { SimulatedNode } from './world.ts'

/** What a node can know about a job before it answers. */
export interface SeenJob {
  readonly isValuable: boolean
  /** The input was seen before, so an old answer is right. */
  readonly isRepeated: boolean
}

export interface Liar {
  readonly name: string
  /** @default 0.05 */
  readonly share?: number
  /** All have one reporter, or each its own. @default 'own' */
  readonly reporters?: 'own' | 'one'
  /** Liars of a ring give the same wrong answer, so they agree. @default false */
  readonly isRing?: boolean
  /** How often the scheduler prefers it because it seems fast. @default 1 */
  readonly speed?: number
  /** After a conviction it comes back with a new key. @default never */
  readonly returns?: 'same reporter' | 'new reporter'
  lies(node: SimulatedNode, job: SeenJob, random: () => number): boolean
}

const HONEST_JOBS = 200
const SHARE = 0.05
const LEAK = 0.005
/** Share of the nodes in the large ring. */
const RING = 0.2

/** Also under rules without standing, it lies only after ten answers. */
const isBelieved = ({ answers, core }: SimulatedNode) => answers > 10 && canServe(core.standing)
const isSettled = (node: SimulatedNode) => isBelieved(node) && node.answers >= HONEST_JOBS

export const LIARS: readonly Liar[] = [
  { name: 'always wrong', lies: () => true },
  { name: 'empty and fast', isRing: true, speed: 20, lies: () => true },
  { name: 'honest for 10', lies: isBelieved },
  { name: 'honest for 200', lies: isSettled },
  {
    name: '5 % of the time',
    lies: (node, _job, random) => isBelieved(node) && random() < SHARE,
  },
  {
    name: 'only valuable jobs',
    lies: (node, { isValuable }) => isBelieved(node) && isValuable,
  },
  { name: 'old answers', lies: (node, { isRepeated }) => isBelieved(node) && !isRepeated },
  { name: 'ring of one reporter', isRing: true, reporters: 'one', lies: isSettled },
  { name: 'ring of 20 %', isRing: true, share: RING, lies: isSettled },
  { name: 'new keys', returns: 'same reporter', lies: isBelieved },
  { name: 'new keys and addresses', returns: 'new reporter', lies: isBelieved },
  {
    name: 'slow leak',
    lies: (node, _job, random) => isBelieved(node) && random() < LEAK,
  },
]
