/** Hub regions, and the names of their hubs. A region's hubs are its shards: `eu-west-0`, `eu-west-1`, and so on. */
import { groupCountries, countryBit } from '#shared/law/region.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'

export interface HubRegion {
  readonly name: string
  readonly jurisdiction: Jurisdiction
  /** Most hubs that it may have. Its other hubs drain; with 0 all do. */
  readonly shards: number
  /** Where it stands, in degrees; null or absent if unknown. */
  readonly anchor?: Point | null
}

export interface Point {
  readonly lat: number
  readonly lon: number
}

/** The name and jurisdiction that open a hub's object. */
export interface HubName {
  readonly name: string
  readonly jurisdiction: Jurisdiction
}

export function hubName(region: Pick<HubRegion, 'name' | 'jurisdiction'>, shard: number): HubName {
  return { name: `${region.name}-${shard}`, jurisdiction: region.jurisdiction }
}

const NAME = /^(.+)-(0|[1-9]\d{0,4})$/

interface FoundHub<Region> {
  readonly region: Region
  readonly shard: number
  /** The region was made smaller: the hub takes no nodes, and delivers what it still holds. */
  readonly isDraining: boolean
}

/** The region of a hub by the hub's name; undefined for a hub of none of these regions. */
export function findHub<Region extends HubRegion>(
  regions: readonly Region[],
  hub: string,
): FoundHub<Region> | undefined {
  const [, name, digits] = NAME.exec(hub) ?? []
  const region = regions.find((each) => each.name === name)
  const shard = Number(digits)
  return region && { region, shard, isDraining: shard >= region.shards }
}

/** The first hub of each region that has one. */
export function firstHubs(regions: readonly HubRegion[]): HubName[] {
  return regions.filter(({ shards }) => shards > 0).map((region) => hubName(region, 0))
}

/**
 * Indexes of the regions from the nearest to the farthest. Without a point, or for regions that do not say where they
 * stand, the order of the list counts.
 */
export function orderRegions(
  regions: readonly HubRegion[],
  from: Point | null | undefined,
): readonly number[] {
  const order = regions.map((_, at) => at)
  if (from == null) return order
  const far = regions.map(({ anchor }) => (anchor == null ? Infinity : angle(from, anchor)))
  return order.toSorted((a, b) => compare(far[a], far[b]) || a - b)
}

function compare(a = Infinity, b = Infinity): number {
  return a === b ? 0 : a - b
}

/** Angle between two points of the sphere, in radians. */
function angle(a: Point, b: Point): number {
  const [p, q, longer] = [a.lat, b.lat, a.lon - b.lon].map((degrees) => (degrees * Math.PI) / 180)
  if (p === undefined || q === undefined || longer === undefined) return Infinity
  const cosine = Math.sin(p) * Math.sin(q) + Math.cos(p) * Math.cos(q) * Math.cos(longer)
  return Math.acos(Math.max(-1, Math.min(1, cosine)))
}

/**
 * Orders regions for a node of this country: first those whose jurisdiction is the country's own, because only their
 * hubs can serve policies that pin records there; then those without a jurisdiction. Within each, `order` stands.
 */
export function orderForNode(
  regions: readonly HubRegion[],
  country: number,
  order: readonly number[],
): readonly number[] {
  const home = homeJurisdiction(country)
  const rank = (at: number) => {
    const jurisdiction = regions[at]?.jurisdiction
    return jurisdiction === home ? 0 : jurisdiction === 'any' ? 1 : 2
  }
  return order.toSorted((a, b) => rank(a) - rank(b))
}

const EU = new Set((groupCountries('EU') ?? []).map(countryBit))
const US = countryBit('US')

function homeJurisdiction(country: number): Jurisdiction {
  if (country === US) return 'us'
  return EU.has(country) ? 'eu' : 'any'
}
