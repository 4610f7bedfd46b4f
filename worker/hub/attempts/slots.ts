/** Counts the slots taken on each node from the choice on. A link counts a job only after its ticket is signed. */
import type { Work } from '#shared/job/job.ts'
import type { NodeView } from '#worker/hub/choice/choice.ts'
import { workKey } from '#worker/hub/members/service-times.ts'

export function createSlots() {
  const taken = new Map<string, number>()
  const count = (key: string, change: 1 | -1) => {
    const now = (taken.get(key) ?? 0) + change
    if (now > 0) taken.set(key, now)
    else taken.delete(key)
  }
  const keyOf = (nodeId: string, work: Work) => `${nodeId} ${workKey(work)}`
  return {
    /** @returns gives the slot back; further calls do nothing */
    take(nodeId: string, work: Work): () => void {
      const keys = new Set([nodeId, keyOf(nodeId, work)])
      for (const key of keys) count(key, 1)
      return () => {
        for (const key of keys) count(key, -1)
        keys.clear()
      }
    },
    seen(view: NodeView, work: Work): NodeView {
      const inFlight = Math.max(view.inFlight, taken.get(view.nodeId) ?? 0)
      return { ...view, inFlight, ofThisWork: taken.get(keyOf(view.nodeId, work)) ?? 0 }
    },
  }
}
