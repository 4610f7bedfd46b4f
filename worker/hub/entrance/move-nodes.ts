/** Sends nodes to other hubs: all of them when the hub drains, and those above the mean of its region. */
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import { surplusNodes } from '#worker/summary/place-node.ts'
import type { RegionNews } from '#worker/summary/registry.ts'

export interface MoveNodesDeps {
  readonly directory: Directory
  readonly isDraining: boolean
  readonly now: () => number
  readonly log: Log
}

/**
 * Closes connections of nodes that have nothing to do. They ask for admission again and are named an emptier hub.
 * @returns how many
 */
export function moveNodes(
  { directory, isDraining, now, log }: MoveNodesDeps,
  region: RegionNews,
): number {
  if (!region.hasSeats) return 0
  const count = surplusNodes({ nodes: directory.size, isDraining }, region)
  if (count === 0) return 0
  // A session may have its state on a node that worked a moment ago.
  const restsMs = isDraining ? 0 : LIMITS.sessionIdleMs
  const heardMs = (member: Member) => directory.heardMs(member)
  const leaving = directory
    .members()
    .filter((member) => member.link.inFlight() === 0 && now() - heardMs(member) >= restsMs)
    .toSorted((a, b) => heardMs(a) - heardMs(b))
    .slice(0, count)
  for (const member of leaving) {
    directory.remove(member)
    member.link.close().catch(() => {})
  }
  if (leaving.length > 0) log.info('nodes.moved', { count: leaving.length })
  return leaving.length
}
