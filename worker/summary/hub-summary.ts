/**
 * What a hub tells Workers and admission about itself every few seconds: enough to choose it, never to decide for it.
 * A summary names no tenant and no job. Each hub applies the whole policy itself, so a wrong summary costs a call.
 */
import type { Bytes32, NodeId } from '#shared/base/ids.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { Work } from '#shared/job/job.ts'
import type { EvidenceClass, Jurisdiction, NodeTrust } from '#shared/law/policy.ts'

export interface HubSummary {
  /** `REGION-SHARD`, such as `eu-west-0`. */
  readonly hub: string
  readonly jurisdiction: Jurisdiction
  /** When the hub wrote it, by the hub's clock. Of two summaries of one hub the later one stands. */
  readonly atMs: number
  /** The hub takes no nodes and sends its own away. */
  readonly isDraining: boolean
  /** Connections of nodes. */
  readonly seats: Room
  /** Jobs that its nodes run at once. */
  readonly slots: Room
  /** Jobs at the hub, and those of them that wait for a slot. */
  readonly jobs: { readonly active: number; readonly waiting: number }
  readonly peerId: NodeId
  readonly hubKey: PublicKey
  readonly groups: readonly NodeGroup[]
  /** WGSL features of nodes that run any kernel. */
  readonly features: Sketch
}

export interface Room {
  readonly free: number
  readonly all: number
}

/** Nodes of equal trust and evidence. */
export interface NodeGroup {
  readonly trust: NodeTrust
  readonly evidence: EvidenceClass
  readonly isQuarantined: boolean
  /** Who vouches for them. */
  readonly vouchers: Sketch
  /** Consortia that they belong to. */
  readonly networks: Sketch
  /** Number of nodes by bit of their country; {@link UNKNOWN_COUNTRY} for an unknown place. */
  readonly countries: ReadonlyMap<number, number>
  /** None for quarantined nodes. */
  readonly offers: readonly WorkOffer[]
}

/** Nodes of a group for one work: a model, a listed kernel, or any kernel. */
export interface WorkOffer {
  readonly key: number
  /** Free slots of the nodes that have it loaded. */
  readonly freeSlots: number
  /** Of these nodes, those that run the model on each provider, in the order of `PROVIDERS`. */
  readonly providers: readonly number[]
  /** By bit of the country: nodes that have it loaded, and nodes that could load it. */
  readonly countries: ReadonlyMap<number, Offered>
}

export interface Offered {
  readonly warm: number
  readonly cold: number
}

/** A set of names in 32 bits. It has each name that was added, and perhaps others. */
export type Sketch = number

/** Key of the offer of nodes that run any kernel. */
export const ANY_KERNEL = 0

/** The first four bytes of a digest. Two works with one key cost a call. */
export function offerKey(digest: Bytes32): number {
  return Number.parseInt(digest.slice(2, 10), 16)
}

/** Keys of the offers that may take a work. */
export function offerKeys({ kind, digest }: Pick<Work, 'kind' | 'digest'>): readonly number[] {
  if (kind === 'library') return [ANY_KERNEL]
  return kind === 'kernel' ? [ANY_KERNEL, offerKey(digest)] : [offerKey(digest)]
}

export function sketch(names: Iterable<string>): Sketch {
  let bits = 0
  for (const name of names) bits |= 1 << (hashName(name) & 31)
  return bits >>> 0
}

export function mayContain(set: Sketch, name: string): boolean {
  return ((set >>> (hashName(name) & 31)) & 1) === 1
}

/** FNV-1a, whose upper bits are mixed into the lower ones. */
function hashName(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at += 1)
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return hash ^ (hash >>> 15)
}

/** Connected nodes, those in quarantine included. */
export function nodesOf({ seats }: Pick<HubSummary, 'seats'>): number {
  return seats.all - seats.free
}

/** Nodes of a group. */
export function groupSize({ countries }: Pick<NodeGroup, 'countries'>): number {
  let sum = 0
  for (const count of countries.values()) sum += count
  return sum
}
