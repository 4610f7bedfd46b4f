/**
 * A hub's summary as bytes: some hundred for most hubs, {@link SUMMARY_BYTES} at most. All numbers are big-endian.
 *
 * `u8 version | text hub | u8 jurisdiction | u48 ms | u8 draining | u16 seats free, all | u16 slots free, all |
 * u16 active, waiting | text peer id | 64 bytes of key | u32 features | u8 groups | groups`
 *
 * A text is `u8 length | ASCII`.
 */
import { hexToBytes } from 'viem'
import { NodeId } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { EVIDENCE_CLASSES, JURISDICTIONS, NODE_TRUSTS } from '#shared/law/policy.ts'
import { malformed, Reader, Writer } from './bytes.ts'
import type { HubSummary, NodeGroup, Room, WorkOffer } from './hub-summary.ts'

export const SUMMARY_VERSION = 1
/** One summary. */
export const SUMMARY_BYTES = 10_240
/** Part of a summary that its offers may take; a hub leaves the smallest out. */
export const OFFERS_BYTES = 7_168
/** Offers of one group. */
export const GROUP_OFFERS = 255
const KEY_BYTES = 32

/** Counts over 65,535 are written as that. */
export function packSummary(summary: HubSummary): Uint8Array {
  const out = new Writer(SUMMARY_BYTES)
  out.u8(SUMMARY_VERSION)
  out.text(summary.hub)
  out.u8(JURISDICTIONS.indexOf(summary.jurisdiction))
  out.u16(Math.floor(summary.atMs / 2 ** 32))
  out.u32(summary.atMs % 2 ** 32)
  out.u8(Number(summary.isDraining))
  for (const { free, all } of [summary.seats, summary.slots]) out.u16(free, all)
  out.u16(summary.jobs.active, summary.jobs.waiting)
  out.text(summary.peerId)
  out.bytes(hexToBytes(summary.hubKey.x))
  out.bytes(hexToBytes(summary.hubKey.y))
  out.u32(summary.features)
  out.u8(summary.groups.length)
  for (const group of summary.groups) packGroup(out, group)
  return out.done()
}

/** Bytes that an offer takes. */
export function offerBytes({ countries }: Pick<WorkOffer, 'countries'>): number {
  return 7 + 2 * PROVIDERS.length + 5 * countries.size
}

function packGroup(out: Writer, group: NodeGroup): void {
  out.u8(
    NODE_TRUSTS.indexOf(group.trust) |
      (EVIDENCE_CLASSES.indexOf(group.evidence) << 2) |
      (Number(group.isQuarantined) << 5),
  )
  out.u32(group.vouchers)
  out.u32(group.networks)
  out.u8(group.countries.size)
  for (const [bit, count] of group.countries) {
    out.u8(bit)
    out.u16(count)
  }
  out.u8(group.offers.length)
  for (const offer of group.offers) {
    out.u32(offer.key)
    out.u16(offer.freeSlots, ...offer.providers)
    out.u8(offer.countries.size)
    for (const [bit, { warm, cold }] of offer.countries) {
      out.u8(bit)
      out.u16(warm, cold)
    }
  }
}

/** @throws {AppError} invalid_request for bytes that {@link packSummary} of this version did not write */
export function readSummary(bytes: Uint8Array): HubSummary {
  if (bytes.byteLength > SUMMARY_BYTES) throw malformed('too long')
  const from = new Reader(bytes)
  if (from.u8() !== SUMMARY_VERSION) throw malformed('of another version')
  const hub = from.text()
  const jurisdiction = named(JURISDICTIONS, from.u8())
  const atMs = from.u16() * 2 ** 32 + from.u32()
  const isDraining = from.u8() === 1
  const [seats, slots] = [readRoom(from), readRoom(from)]
  const jobs = { active: from.u16(), waiting: from.u16() }
  const peerId = NodeId.safeParse(from.text())
  if (!peerId.success) throw malformed('without a peer id')
  const hubKey = { x: from.hex(KEY_BYTES), y: from.hex(KEY_BYTES) }
  const features = from.u32()
  const groups = from.list(() => readGroup(from))
  from.end()
  return {
    hub,
    jurisdiction,
    atMs,
    isDraining,
    seats,
    slots,
    jobs,
    peerId: peerId.data,
    hubKey,
    groups,
    features,
  }
}

function readRoom(from: Reader): Room {
  const [free, all] = [from.u16(), from.u16()]
  if (free > all) throw malformed('with more free than there is')
  return { free, all }
}

function readGroup(from: Reader): NodeGroup {
  const kind = from.u8()
  return {
    trust: named(NODE_TRUSTS, kind & 3),
    evidence: named(EVIDENCE_CLASSES, (kind >> 2) & 7),
    isQuarantined: kind >> 5 === 1,
    vouchers: from.u32(),
    networks: from.u32(),
    countries: new Map(from.list(() => [from.u8(), from.u16()])),
    offers: from.list(() => readOffer(from)),
  }
}

function readOffer(from: Reader): WorkOffer {
  return {
    key: from.u32(),
    freeSlots: from.u16(),
    providers: PROVIDERS.map(() => from.u16()),
    countries: new Map(from.list(() => [from.u8(), { warm: from.u16(), cold: from.u16() }])),
  }
}

function named<Value>(values: readonly Value[], index: number): Value {
  const value = values[index]
  if (value === undefined) throw malformed(`with index ${index}`)
  return value
}
