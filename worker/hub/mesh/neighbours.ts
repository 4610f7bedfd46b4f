/** Nodes of the other hubs, as those report them. Only used to say where else a job may be answered. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { decide } from '#shared/law/decide.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { RemoteNode } from './notice.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { canRun } from '#worker/hub/choice/choice.ts'

export type Neighbours = ReturnType<typeof createNeighbours>
type Sought = Pick<DispatchRequest, 'policy' | 'allowed' | 'work' | 'nodeId'>

interface Heard {
  readonly hub: string
  readonly node: RemoteNode | null
  readonly atMs: number
}

export function createNeighbours(now: () => number) {
  const known = new BoundedMap<string, Heard>(LIMITS.hubPeers * LIMITS.hubNodes)
  const keep = (nodeId: string, heard: Heard) => {
    const key = `${heard.hub} ${nodeId}`
    // Gossip comes in any order: the latest statement stands.
    if ((known.get(key)?.atMs ?? -Infinity) >= heard.atMs) return
    known.set(key, heard)
  }
  return {
    heard: (hub: string, node: RemoteNode, atMs: number): void =>
      keep(node.nodeId, { hub, node, atMs }),
    left: (hub: string, nodeId: string, atMs: number): void =>
      keep(nodeId, { hub, node: null, atMs }),
    /**
     * Names hubs that have a node allowed by the same filter, those with the work loaded first. Each named hub applies
     * the filter again, so this widens nothing.
     */
    hubsFor({ policy, allowed, work, nodeId }: Sought): string[] {
      const warm = new Set<string>()
      const cold = new Set<string>()
      for (const [key, { hub, node, atMs }] of known) {
        if (now() - atMs > LIMITS.presenceMaxAgeMs) known.delete(key)
        else if (node === null || (nodeId !== null && nodeId !== node.nodeId)) continue
        else if (decide(policy, allowed, factsOf(node)) !== 'allow') continue
        else if (canRun(node, work)) warm.add(hub)
        else if (node.loadable.includes(work.digest)) cold.add(hub)
      }
      return [...warm, ...[...cold].filter((hub) => !warm.has(hub))]
    },
  }
}

function factsOf({ place, networks, isQuarantined }: RemoteNode) {
  return { ...place, networks, quarantined: isQuarantined }
}
