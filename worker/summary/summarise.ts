/** Writes a hub's summary from its members. Pure: the hub calls it at most once for each publication. */
import { invariant } from '#shared/base/errors.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import { UNKNOWN_COUNTRY, type CountrySet } from '#shared/law/region.ts'
import {
  ANY_KERNEL,
  offerKey,
  sketch,
  type HubSummary,
  type NodeGroup,
  type WorkOffer,
} from './hub-summary.ts'
import { SUMMARY_OFFERS } from './summary-bytes.ts'

/** A connected node. */
export interface SummarisedNode {
  readonly facts: NodeFacts
  readonly models: readonly Pick<AdmittedModel, 'digest'>[]
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
  // Where there are too many offers, those of the fewest nodes are left out.
  const all = groups.flatMap(({ offers }) => offers)
  if (all.length <= SUMMARY_OFFERS) return groups
  const kept = new Set(all.toSorted((a, b) => nodesFor(b) - nodesFor(a)).slice(0, SUMMARY_OFFERS))
  return groups.map((group) => ({
    ...group,
    offers: group.offers.filter((offer) => kept.has(offer)),
  }))
}

function nodesFor({ warm, cold }: WorkOffer): number {
  return warm + cold
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
  warm: number
  cold: number
  freeSlots: number
  warmIn: bigint
  coldIn: bigint
}

function offersOf(nodes: readonly SummarisedNode[]): WorkOffer[] {
  const tallies = new Map<number, Tally>()
  const at = (key: number): Tally => {
    const known = tallies.get(key) ?? { warm: 0, cold: 0, freeSlots: 0, warmIn: 0n, coldIn: 0n }
    tallies.set(key, known)
    return known
  }
  for (const node of nodes) {
    const place = bitOf(node.facts.country)
    const { models, kernels, loadable = [] } = node
    const listed = kernels === 'any' ? [ANY_KERNEL] : kernels.map(offerKey)
    for (const key of [...models.map(({ digest }) => offerKey(digest)), ...listed]) {
      const tally = at(key)
      tally.warm += 1
      tally.freeSlots += freeSlots(node)
      tally.warmIn |= place
    }
    for (const digest of loadable) {
      const tally = at(offerKey(digest))
      tally.cold += 1
      tally.coldIn |= place
    }
  }
  return [...tallies].map(([key, { warmIn, coldIn, ...counts }]) => ({
    key,
    ...counts,
    warmIn: toSet(warmIn),
    coldIn: toSet(coldIn),
  }))
}

/** No set has the unknown place. */
function bitOf(country: number): bigint {
  return country === UNKNOWN_COUNTRY ? 0n : 1n << BigInt(country)
}

function toSet(bits: bigint): CountrySet {
  return `0x${bits.toString(16).padStart(64, '0')}`
}
