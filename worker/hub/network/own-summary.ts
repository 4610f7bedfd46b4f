/** A hub's own summary, from its members. */
import type { NodeId } from '#shared/base/ids.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import { factsOf, type Directory, type Member } from '#worker/hub/members/directory.ts'
import type { HubSummary } from '#worker/summary/hub-summary.ts'
import { summarise, type SummarisedNode } from '#worker/summary/summarise.ts'

export interface OwnSummaryDeps {
  readonly hub: string
  readonly jurisdiction: Jurisdiction
  readonly peerId: NodeId
  readonly hubKey: PublicKey
  /** Most nodes. */
  readonly seats: number
  readonly isDraining: boolean
  readonly directory: Directory
  /** Jobs at the hub now. */
  readonly jobs: () => HubSummary['jobs']
  readonly now: () => number
}

export function ownSummary({
  directory,
  seats: capacity,
  jobs,
  now,
  ...own
}: OwnSummaryDeps): HubSummary {
  const nodes = directory.members().map(describe)
  return summarise({ ...own, capacity, jobs: jobs(), atMs: now() }, nodes)
}

function describe(member: Member): SummarisedNode {
  const { models, loadable, kernels, features, maxJobs } = member.presence
  const inFlight = member.link.inFlight()
  return { facts: factsOf(member), models, loadable, kernels, features, maxJobs, inFlight }
}
