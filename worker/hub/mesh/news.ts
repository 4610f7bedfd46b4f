/** Turns this hub's members into news for the others, and applies theirs. */
import { checkSignedEcho } from '#shared/place/echo.ts'
import type { Log } from '#shared/base/log.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { KnownEchoes } from '#worker/hub/place/known-echoes.ts'
import type { News } from './mesh.ts'
import type { Neighbours } from './neighbours.ts'
import type { HubNotice } from './notice.ts'

export function newsOf({ presence, admission, evidence, quarantine }: Member): News {
  return {
    kind: 'node',
    node: {
      nodeId: presence.nodeId,
      place: evidence.place(),
      networks: [...admission.networks],
      isQuarantined: quarantine !== null,
      models: presence.models.map(({ id, digest }) => ({ id, digest })),
      loadable: presence.loadable ?? [],
      kernels: presence.kernels,
      features: presence.features,
    },
  }
}

export interface NoticeTargets {
  readonly neighbours: Neighbours
  readonly directory: Pick<Directory, 'get'>
  readonly echoes: KnownEchoes
  readonly log: Log
}

/** Applies a notice. The mesh has already checked its hub's signature. */
export async function takeNotice(
  notice: HubNotice,
  { neighbours, directory, echoes, log }: NoticeTargets,
): Promise<void> {
  const { hub, sentAtMs } = notice
  if (notice.kind === 'node') neighbours.heard(hub, notice.node, sentAtMs)
  else if (notice.kind === 'left') neighbours.left(hub, notice.nodeId, sentAtMs)
  else {
    const { echo } = notice
    const { nodeId, anchor } = echo.statement
    try {
      if (anchor !== hub) throw new Error(`${hub} sends what ${anchor} measured`)
      await checkSignedEcho(echo)
    } catch (error) {
      log.warn('echo.refused', { nodeId, anchor, reason: String(error) })
      return
    }
    // An echo of a node that is not here is dropped: the node's own hub gets it too.
    const member = directory.get(nodeId)
    if (member === undefined) return
    echoes.add(echo)
    member.evidence.addEcho?.(echo)
  }
}
