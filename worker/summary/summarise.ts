/** Writes a hub's summary from its members. Pure: the hub calls it at most once for each publication. */
import { invariant } from '#shared/base/errors.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import { NODE_TRUSTS } from '#shared/law/policy.ts'
import {
  ANY_KERNEL,
  offerKey,
  sketch,
  type HubSummary,
  type NodeGroup,
  type WorkOffer,
} from './hub-summary.ts'
import { GROUP_OFFERS, offerBytes, OFFERS_BYTES } from './summary-bytes.ts'

/** A connected node. */
export interface SummarisedNode {
  readonly facts: NodeFacts
  readonly models: readonly Pick<AdmittedModel, 'digest' | 'provider'>[]
  readonly loadable?: readonly `0x${string}`[] | undefined
  readonly kernels: 'any' | readonly `0x${string}`[]
  readonly features?: readonly string[] | undefined
  readonly maxJobs: number
  readonly inFlight: number
}

type HubFacts = Pick<
  HubSummary,
  'hub' | 'jurisdiction' | 'atMs' | 'isDraining' | 'jobs' | 'peerId' | 'hubKey'
> & {
  /** Most nodes that the hub takes. */
  readonly capacity: number
}

export function summarise(
  { capacity, ...hub }: HubFacts,
  nodes: readonly SummarisedNode[],
): HubSummary {
  const serving = nodes.filter(({ facts }) => !facts.quarantined)
  const all = serving.reduce((sum, { maxJobs }) => sum + maxJobs, 0)
  const free = serving.reduce((sum, node) => sum + freeSlots(node), 0)
  const seats = Math.max(capacity, nodes.length)
  return {
    ...hub,
    seats: { free: seats - nodes.length, all: seats },
    slots: { free, all },
    groups: groupsOf(nodes),
    features: sketch(
      serving.flatMap(({ kernels, features }) => (kernels === 'any' ? (features ?? []) : [])),
    ),
  }
}

function freeSlots({ maxJobs, inFlight }: SummarisedNode): number {
  return Math.max(0, maxJobs - inFlight)
}

function groupsOf(nodes: readonly SummarisedNode[]): NodeGroup[] {
  const groups = [
    ...Map.groupBy(
      nodes,
      ({ facts }) => `${facts.trust} ${facts.evidence} ${facts.quarantined}`,
    ).values(),
  ].map(groupOf)
  return fitted(groups)
}

/** Where there are too many offers, those of the least trusted and then of the fewest nodes are left out. */
function fitted(groups: readonly NodeGroup[]): NodeGroup[] {
  const all = groups.flatMap(({ trust, offers }) =>
    offers.map((offer) => ({ offer, trust: NODE_TRUSTS.indexOf(trust), nodes: nodesFor(offer) })),
  )
  let room = OFFERS_BYTES
  const kept = new Set<WorkOffer>()
  for (const { offer } of all.toSorted((a, b) => b.trust - a.trust || b.nodes - a.nodes)) {
    room -= offerBytes(offer)
    if (room >= 0) kept.add(offer)
  }
  return groups.map((group) => ({
    ...group,
    offers: group.offers.filter((offer) => kept.has(offer)).slice(0, GROUP_OFFERS),
  }))
}

function nodesFor({ countries }: WorkOffer): number {
  let sum = 0
  for (const { warm, cold } of countries.values()) sum += warm + cold
  return sum
}

function groupOf(nodes: readonly SummarisedNode[]): NodeGroup {
  const [first] = nodes
  invariant(first, 'A group has a node.')
  const { trust, evidence, quarantined } = first.facts
  const countries = new Map<number, number>()
  for (const { facts } of nodes)
    countries.set(facts.country, (countries.get(facts.country) ?? 0) + 1)
  return {
    trust,
    evidence,
    isQuarantined: quarantined,
    vouchers: sketch(nodes.flatMap(({ facts }) => facts.voucher ?? [])),
    networks: sketch(nodes.flatMap(({ facts }) => facts.networks)),
    countries,
    offers: quarantined ? [] : offersOf(nodes),
  }
}

interface Tally {
  freeSlots: number
  readonly providers: number[]
  readonly countries: Map<number, { warm: number; cold: number }>
}

function offersOf(nodes: readonly SummarisedNode[]): WorkOffer[] {
  const tallies = new Map<number, Tally>()
  const at = (key: number): Tally => {
    const known = tallies.get(key)
    if (known !== undefined) return known
    const made = { freeSlots: 0, providers: PROVIDERS.map(() => 0), countries: new Map() }
    tallies.set(key, made)
    return made
  }
  const count = (key: number, { facts }: SummarisedNode, kind: 'warm' | 'cold'): Tally => {
    const tally = at(key)
    const offered = tally.countries.get(facts.country) ?? { warm: 0, cold: 0 }
    offered[kind] += 1
    tally.countries.set(facts.country, offered)
    return tally
  }
  for (const node of nodes) {
    const { models, kernels, loadable = [] } = node
    for (const key of kernels === 'any' ? [ANY_KERNEL] : kernels.map(offerKey))
      count(key, node, 'warm').freeSlots += freeSlots(node)
    for (const { digest, provider } of models) {
      const tally = count(offerKey(digest), node, 'warm')
      tally.freeSlots += freeSlots(node)
      const on = PROVIDERS.indexOf(provider)
      tally.providers[on] = (tally.providers[on] ?? 0) + 1
    }
    for (const digest of loadable) count(offerKey(digest), node, 'cold')
  }
  return [...tallies].map(([key, tally]) => ({ key, ...tally }))
}
