/** The live hubs of a deployment, from their summaries. */
import type { NodeId } from '#shared/base/ids.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { manifestDigest } from '#shared/job/model.ts'
import { findManifest } from '#worker/body/find-manifest.ts'
import type { AppContext } from '#worker/gate/context.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { groupSize, nodesOf, offerKey, type NodeGroup } from '#worker/summary/hub-summary.ts'
import { deploymentOf, hubsToday, knownHubs } from './hubs.ts'

export interface LiveHub extends HubName {
  readonly peerId: NodeId
  readonly hubKey: PublicKey
  readonly nodes: number
  readonly groups: readonly NodeGroup[]
}

/**
 * All hubs with a summary. Of a region without any, the first hub is asked who it is; one that does not answer is left
 * out and logged.
 */
export async function liveHubs(c: AppContext): Promise<LiveHub[]> {
  const { config } = c.var
  const table = await hubsToday(deploymentOf(c))
  const hubs = knownHubs(table)
  const asked = hubs.map(async (hub): Promise<LiveHub> => {
    const { name, jurisdiction } = hub
    const summary = table.get(name)?.summary
    if (summary === undefined) {
      const identity = await openHub(c.env, hub, config).identify()
      return { name, jurisdiction, ...identity, nodes: 0, groups: [] }
    }
    const { peerId, hubKey, groups } = summary
    return { name, jurisdiction, peerId, hubKey, nodes: nodesOf(summary), groups }
  })
  const answers = await Promise.allSettled(asked)
  return answers.flatMap((answer, i) => {
    if (answer.status === 'fulfilled') return [answer.value]
    c.var.log.error('hub.failed', {
      hub: hubs[i]?.name,
      cause: answer.reason instanceof Error ? answer.reason.message : 'unknown',
    })
    return []
  })
}

/** Nodes that may get work. */
export function countWorking(hubs: readonly LiveHub[]): number {
  return hubs
    .flatMap(({ groups }) => groups)
    .reduce((sum, group) => sum + (group.isQuarantined ? 0 : groupSize(group)), 0)
}

/** Counts live nodes that have the model loaded or can load it. @throws {AppError} model_not_found */
export function countServing(hubs: readonly LiveHub[], model: string): number {
  const key = offerKey(manifestDigest(findManifest(model)))
  let nodes = 0
  for (const { groups } of hubs)
    for (const { offers } of groups)
      for (const offer of offers)
        if (offer.key === key)
          for (const { warm, cold } of offer.countries.values()) nodes += warm + cold
  return nodes
}
