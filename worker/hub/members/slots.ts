/** Counts the slots taken on each node from the choice on. A link counts a job only after its ticket is signed. */
import type { Work } from '#shared/job/job.ts'
import { workKey } from './service-times.ts'

/** Slots taken on one node. */
export interface NodeSlots {
  readonly all: number
  /** By key of the work. */
  readonly byWork: ReadonlyMap<string, number>
  /** When its last job ended, or when it got one after it had none. */
  readonly sinceMs: number
}

export interface Slots {
  /** @returns gives the slot back; further calls do nothing */
  take(nodeId: string, work: Work): () => void
  /** The node's counts, which change as slots are taken and given back. */
  of(nodeId: string): NodeSlots
  /** When the node's last job ended, or when it got one after it had none; 0 for an unknown node. */
  sinceMs(nodeId: string): number
  /** Forgets the node once its last slot is given back. */
  left(nodeId: string): void
}

interface Counts {
  all: number
  readonly byWork: Map<string, number>
  sinceMs: number
  hasLeft: boolean
}

export function createSlots(nowMs: () => number): Slots {
  const nodes = new Map<string, Counts>()
  const of = (nodeId: string): Counts => {
    const known = nodes.get(nodeId) ?? { all: 0, byWork: new Map(), sinceMs: 0, hasLeft: false }
    nodes.set(nodeId, known)
    return known
  }
  return {
    of(nodeId) {
      const counts = of(nodeId)
      counts.hasLeft = false
      return counts
    },
    take(nodeId, work) {
      const counts = of(nodeId)
      const key = workKey(work)
      if (counts.all === 0) counts.sinceMs = nowMs()
      counts.all += 1
      counts.byWork.set(key, (counts.byWork.get(key) ?? 0) + 1)
      let isTaken = true
      return () => {
        if (!isTaken) return
        isTaken = false
        counts.all -= 1
        counts.sinceMs = nowMs()
        const left = (counts.byWork.get(key) ?? 0) - 1
        if (left > 0) counts.byWork.set(key, left)
        else counts.byWork.delete(key)
        if (counts.hasLeft && counts.all === 0) nodes.delete(nodeId)
      }
    },
    sinceMs: (nodeId) => nodes.get(nodeId)?.sinceMs ?? 0,
    left(nodeId) {
      const counts = nodes.get(nodeId)
      if (counts === undefined) return
      counts.hasLeft = true
      if (counts.all === 0) nodes.delete(nodeId)
    },
  }
}
