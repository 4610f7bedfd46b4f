/** Decides who has a seat in a full hub: standing counts first, then small address blocks, then use. Pure. */
import { LIMITS } from '#shared/base/limits.ts'

/** Share of a hub's seats reserved for vouched nodes and for nodes that have answered jobs. */
const SEATS_KEPT = 0.1
/** Sockets of one hub that have not yet proved their identity. */
export const HUB_ENTERING = 256

/** A node that is a member or wants to be. */
export interface Applicant {
  readonly nodeId: string
  /** Nodes of one tenant, or behind one IPv4 /24 or IPv6 /64, count as one block. */
  readonly block: string
  /** True if somebody vouches for it, or it has answered jobs here. */
  readonly hasStanding: boolean
}

export interface Seated extends Applicant {
  readonly inFlight: number
  readonly jobsDone: number
  readonly isQuarantined: boolean
  readonly seatedForMs: number
}

/** A node that has answered nothing for this long makes room for any newcomer. */
const UNUSED_MS = 60_000

export type SeatChoice =
  | { readonly kind: 'free' }
  | { readonly kind: 'displace'; readonly nodeId: string }
  | { readonly kind: 'full' }

/** Seats that only vouched nodes and nodes that have answered jobs may take. */
export function seatsKept(capacity: number): number {
  return Math.floor(capacity * SEATS_KEPT)
}

/** @param capacity seats of the hub */
export function chooseSeat(
  seats: readonly Seated[],
  newcomer: Applicant,
  capacity: number = LIMITS.hubNodes,
): SeatChoice {
  const others = seats.filter(({ nodeId }) => nodeId !== newcomer.nodeId)
  const room = capacity - (newcomer.hasStanding ? 0 : seatsKept(capacity))
  if (others.length < room) return { kind: 'free' }
  const counts = countBlocks(others)
  const [leaver] = others
    .filter((seat) => mayDisplace(seat, newcomer, counts))
    .toSorted(
      (a, b) =>
        Number(b.isQuarantined) - Number(a.isQuarantined) ||
        Number(a.hasStanding) - Number(b.hasStanding) ||
        (counts.get(b.block) ?? 0) - (counts.get(a.block) ?? 0) ||
        a.jobsDone - b.jobsDone ||
        b.seatedForMs - a.seatedForMs,
    )
  return leaver === undefined ? { kind: 'full' } : { kind: 'displace', nodeId: leaver.nodeId }
}

function mayDisplace(
  seat: Seated,
  newcomer: Applicant,
  counts: ReadonlyMap<string, number>,
): boolean {
  if (seat.inFlight > 0) return false
  if (seat.isQuarantined) return true
  if (seat.hasStanding && !newcomer.hasStanding) return false
  if (newcomer.hasStanding && !seat.hasStanding) return true
  if (isLarger(seat.block, newcomer.block, counts)) return true
  return !seat.hasStanding && seat.seatedForMs >= UNUSED_MS
}

/** Tells whether block `a` has at least as many as `b` after giving one to it. */
function isLarger(a: string, b: string, counts: ReadonlyMap<string, number>): boolean {
  return a !== b && (counts.get(a) ?? 0) > (counts.get(b) ?? 0) + 1
}

export interface Waiting {
  readonly block: string
}

/**
 * Chooses which socket leaves when too many have proved nothing yet. The largest block loses its oldest socket to a
 * smaller block.
 * @param waiting oldest first
 * @returns the one that leaves; `full` when none does, undefined when there is room
 */
export function chooseWaiting<T extends Waiting>(
  waiting: readonly T[],
  block: string,
): T | 'full' | undefined {
  if (waiting.length < HUB_ENTERING) return undefined
  const counts = countBlocks(waiting)
  const [largest] = [...counts].toSorted((a, b) => b[1] - a[1])
  if (largest === undefined || !isLarger(largest[0], block, counts)) return 'full'
  return waiting.find((each) => each.block === largest[0]) ?? 'full'
}

function countBlocks(all: readonly Waiting[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { block } of all) counts.set(block, (counts.get(block) ?? 0) + 1)
  return counts
}
