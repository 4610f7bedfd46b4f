/** Which models have a live node. */
import { manifestDigest } from '#shared/job/model.ts'
import { findManifest } from '#worker/body/find-manifest.ts'
import type { AppContext } from '#worker/gate/context.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import type { HubConfig } from '#worker/platform/config.ts'
import type { HubStatus } from '#worker/protocols/hub.ts'

export interface LiveHub {
  readonly config: HubConfig
  readonly status: HubStatus
}

/** Every hub that answers; one that does not is left out, and logged. */
export async function liveHubs(c: AppContext): Promise<LiveHub[]> {
  const { config, isolate } = c.var
  const asked = config.hubs.map(async (hub) => ({
    config: hub,
    status: await openHub(c.env, hub, config).status(),
  }))
  const answers = await Promise.allSettled(asked)
  return answers.flatMap((answer, i) => {
    if (answer.status === 'fulfilled') return [answer.value]
    isolate.log.error('hub.failed', {
      hub: config.hubs[i]?.name,
      cause: answer.reason instanceof Error ? answer.reason.message : 'unknown',
    })
    return []
  })
}

/** Live nodes that have this model loaded, or load it for the first request. @throws {AppError} model_not_found */
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
