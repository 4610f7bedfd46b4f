/** Hubs as lists of nodes, and their summaries as they travel. */
import { NodeId } from '#shared/base/ids.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import { hubName, type HubRegion } from '#worker/summary/hub-region.ts'
import type { HubSummary } from '#worker/summary/hub-summary.ts'
import { summarise, type SummarisedNode } from '#worker/summary/summarise.ts'
import { packSummary, readSummary } from '#worker/summary/summary-bytes.ts'

const PEER = NodeId.parse('12D3KooWHFrmLWTTDD4NodngtRMEVYgxrsDMp4F9iSwYntZ9WjHa')
const HALF = `0x${'17'.repeat(32)}` as const

/** Digests of works: `digest(1)`, `digest(2)` and so on have keys of their own. */
export function digest(n: number): `0x${string}` {
  return `0x${(n * 0x01010101).toString(16).padStart(8, '0')}${'ab'.repeat(28)}`
}

export function modelOf(n: number): SummarisedNode['models'][number] {
  return { digest: digest(n), provider: 'cpu' }
}

export function factsIn(country: string, more: Partial<NodeFacts> = {}): NodeFacts {
  const bit = countryBit(country)
  return {
    country: bit,
    evidence: 'observed',
    possible: onlyCountry(bit),
    trust: 'public',
    voucher: null,
    networks: [],
    quarantined: false,
    ...more,
  }
}

export function nodeIn(country: string, more: Partial<SummarisedNode> = {}): SummarisedNode {
  return { facts: factsIn(country), models: [], kernels: [], maxJobs: 2, inFlight: 0, ...more }
}

interface Summarised {
  readonly hub: string
  readonly jurisdiction?: Jurisdiction
  readonly nodes?: readonly SummarisedNode[]
  readonly capacity?: number
  readonly atMs?: number
  readonly isDraining?: boolean
  readonly waiting?: number
}

/** The hub's summary after it was packed and read again. */
export function summaryOf({
  hub,
  jurisdiction = 'any',
  nodes = [],
  capacity = 500,
  atMs = 1,
  isDraining = false,
  waiting = 0,
}: Summarised): HubSummary {
  const jobs = { active: waiting, waiting }
  const facts = { hub, jurisdiction, atMs, isDraining, jobs, capacity }
  return readSummary(
    packSummary(summarise({ ...facts, peerId: PEER, hubKey: { x: HALF, y: HALF } }, nodes)),
  )
}

export function regionOf(name: string, more: Partial<HubRegion> = {}): HubRegion {
  return { name, jurisdiction: 'any', shards: 1, ...more }
}

export function allHubs(regions: readonly HubRegion[]): string[] {
  return regions.flatMap((region) =>
    Array.from({ length: region.shards }, (_, shard) => hubName(region, shard).name),
  )
}

/** On Cloudflare, an object keeps records only in its own jurisdiction. */
export const canKeep = (storage: Jurisdiction, jurisdiction: Jurisdiction): boolean =>
  storage === 'any' || storage === jurisdiction
