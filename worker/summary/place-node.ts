/**
 * Chooses the hub for a node that wants to join, and tells how many nodes a hub sends to others. Pure.
 *
 * A node goes to the region that suits its country and is nearest, and there to one of the emptier hubs. A new hub of a
 * region is opened when the others are full to four fifths. What chance and old summaries leave uneven, the hubs even
 * out themselves: {@link surplusNodes}.
 */
import { invariant } from '#shared/base/errors.ts'
import { firstHubs, hubName, orderForNode, type HubName } from './hub-region.ts'
import { nodesOf } from './hub-summary.ts'
import type { HubTable } from './hub-table.ts'

/** Share of a region's seats in use from which one more hub is opened. */
export const OPEN_FROM = 0.8
/** A hub may have this share of nodes more than the mean of its region. */
export const SPREAD = 0.05
/** Share of its nodes that a hub sends away at once, so that the others are not flooded. */
const LEAVING = 0.05
/** Hubs named to one node. */
export const HUBS_NAMED = 3
invariant(SPREAD < 1 - OPEN_FROM, 'A hub that is opened gets nodes.')

export interface JoiningNode {
  /** Bit of its country. */
  readonly country: number
  /** Indexes of the regions, nearest to the node first. @default their order in the table */
  readonly order?: readonly number[] | undefined
}

interface Shard extends HubName {
  /** By its summary. */
  readonly nodes: number
  /** The same, and those that this isolate has sent to it since. */
  readonly load: number
  readonly capacity: number
}

/**
 * Names the hub for a node, and others to try if that one refuses.
 * @param capacity most nodes of a hub that has no summary yet
 * @returns none only for a deployment whose hubs all drain
 */
export function placeNode(
  table: HubTable,
  node: JoiningNode,
  { random, capacity }: { readonly random: () => number; readonly capacity: number },
): HubName[] {
  const order = orderForNode(table.regions, node.country, node.order ?? table.nearestFirst)
  const named: Shard[] = []
  for (const region of order) {
    // Those that asked for admission may never come, so they only make a hub less likely.
    const shards = shardsOf(table, region, capacity).filter(
      ({ nodes, capacity: most }) => nodes < most,
    )
    while (named.length < HUBS_NAMED) {
      const shard = draw(
        shards.filter((each) => !named.includes(each)),
        random,
      )
      if (shard === undefined) break
      named.push(shard)
    }
    if (named.length === HUBS_NAMED) break
  }
  const [first] = named
  if (first === undefined) return anyHub(table, order)
  table.sendNode(first.name)
  return named.map(({ name, jurisdiction }) => ({ name, jurisdiction }))
}

/** For when all summaries say full: a hub knows better, and may seat a node that is vouched for. */
function anyHub({ regions }: HubTable, order: readonly number[]): HubName[] {
  return firstHubs(order.flatMap((at) => regions[at] ?? [])).slice(0, HUBS_NAMED)
}

/** The region's open hubs that do not drain, and one more if they are nearly full. */
function shardsOf(table: HubTable, region: number, capacity: number): Shard[] {
  const known = table.ofRegion(region)
  const open = known
    .filter(({ summary }) => !summary.isDraining)
    .map((hub) => ({
      name: hub.name,
      jurisdiction: hub.jurisdiction,
      nodes: nodesOf(hub.summary),
      load: nodesOf(hub.summary) + table.sentNodes(hub.name),
      capacity: hub.summary.seats.all,
    }))
  const sum = (read: (shard: Shard) => number) => open.reduce((all, each) => all + read(each), 0)
  // Only seated nodes open a hub: asking for admission costs a stranger nothing.
  if (sum(({ nodes }) => nodes) < OPEN_FROM * sum(({ capacity: most }) => most)) return open
  const next = nextShard(table, region, new Set(known.map(({ name }) => name)))
  return next === undefined
    ? open
    : [...open, { ...next, nodes: 0, load: table.sentNodes(next.name), capacity }]
}

function nextShard(
  { regions }: HubTable,
  at: number,
  known: ReadonlySet<string>,
): HubName | undefined {
  const region = regions[at]
  if (region === undefined) return undefined
  for (let shard = 0; shard < region.shards; shard += 1) {
    const hub = hubName(region, shard)
    if (!known.has(hub.name)) return hub
  }
  return undefined
}

/** Draws a hub, with a probability that follows how far it is below the fullest. */
function draw(shards: readonly Shard[], random: () => number): Shard | undefined {
  if (shards.length < 2) return shards[0]
  const fullest = Math.max(...shards.map(({ load }) => load))
  const mean = shards.reduce((sum, { load }) => sum + load, 0) / shards.length
  const level = fullest + 1 + SPREAD * mean
  let at = random() * shards.reduce((sum, { load }) => sum + level - load, 0)
  for (const shard of shards) {
    at -= level - shard.load
    if (at < 0) return shard
  }
  return shards.at(-1)
}

/** A region as one of its hubs knows it. */
export interface RegionView {
  /** Hubs that do not drain, this one included unless it drains. */
  readonly open: number
  /** Nodes of all its hubs. */
  readonly nodes: number
}

/**
 * The number of nodes that a hub asks to go to another hub now: all in time if it drains, otherwise those above the
 * mean of its region. No hub is emptied at once.
 */
export function surplusNodes(
  own: { readonly nodes: number; readonly isDraining: boolean },
  region: RegionView,
): number {
  if (region.open === 0 || own.nodes === 0) return 0
  const most = Math.max(1, Math.ceil(own.nodes * LEAVING))
  if (own.isDraining) return most
  const surplus = own.nodes - Math.ceil((region.nodes / region.open) * (1 + SPREAD))
  return Math.max(0, Math.min(most, surplus))
}
