/** Finds live hubs, and the live nodes that serve a model. */
import { manifestDigest } from '#shared/job/model.ts'
import { findManifest } from '#worker/body/find-manifest.ts'
import type { AppContext } from '#worker/gate/context.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { deploymentOf, hubsToday, knownHubs } from './hubs.ts'
import type { HubStatus } from '#worker/protocols/hub.ts'

export interface LiveHub {
  readonly config: HubName
  readonly status: HubStatus
}

/** All hubs that answer. Others are left out and logged. */
export async function liveHubs(c: AppContext): Promise<LiveHub[]> {
  const { config } = c.var
  const hubs = knownHubs(await hubsToday(deploymentOf(c)))
  const asked = hubs.map(async (hub) => ({
    config: hub,
    status: await openHub(c.env, hub, config).status(),
  }))
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

/** Counts live nodes that have the model loaded or can load it. @throws {AppError} model_not_found */
export function countServing(hubs: readonly LiveHub[], model: string): number {
  const digest = manifestDigest(findManifest(model))
  return hubs
    .flatMap(({ status }) => status.nodes)
    .filter(
      (node) =>
        node.quarantine === null &&
        (node.loadable.includes(digest) || node.models.some((warm) => warm.digest === digest)),
    ).length
}
