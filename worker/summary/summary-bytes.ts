/**
 * A hub's summary as bytes: some hundred for most hubs, {@link SUMMARY_BYTES} at most. All numbers are big-endian.
 *
 * `u8 version | text hub | u8 jurisdiction | u48 ms | u8 draining | u16 seats free, all | u16 slots free, all |
 * u16 active, waiting | text peer id | 64 bytes of key | u32 features | u8 sets | sets | u8 groups | groups`
 *
 * A text is `u8 length | ASCII`. Offers name their countries by the index of a set, since most hubs have few sets.
 */
import { hexToBytes, bytesToHex } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { NodeId } from '#shared/base/ids.ts'
import { EVIDENCE_CLASSES, JURISDICTIONS, NODE_TRUSTS } from '#shared/law/policy.ts'
import { COUNTRIES, hasCountry, NO_COUNTRY, type CountrySet } from '#shared/law/region.ts'
import type { HubSummary, NodeGroup, Room, WorkOffer } from './hub-summary.ts'

export const SUMMARY_VERSION = 1
/** One summary. */
export const SUMMARY_BYTES = 10_240
/** Offers that a summary has room for; a hub leaves the smallest out. */
export const SUMMARY_OFFERS = 255
const SUMMARY_SETS = 128
const SET_BYTES = 32
const KEY_BYTES = 32
const MOST = 0xffff

/** Counts over 65,535 are written as that. */
export function packSummary(summary: HubSummary): Uint8Array {
  const out = new Writer()
  const { groups } = summary
  const offers = groups.flatMap((group) => group.offers)
  const sets = [...new Set([NO_COUNTRY, ...offers.flatMap((o) => [o.warmIn, o.coldIn])])]
  // Where there is no index left, the offer is said to be everywhere: that costs calls, and hides nothing.
  const known = sets.slice(0, SUMMARY_SETS - 1)
  if (known.length < sets.length) known.push(EVERYWHERE)
  const indexOf = (set: CountrySet) => {
    const at = known.indexOf(set)
    return at < 0 ? known.length - 1 : at
  }
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
  out.u8(known.length)
  for (const set of known) packSet(out, set)
  out.u8(groups.length)
  for (const group of groups) packGroup(out, group, indexOf)
  return out.done()
}

/** Up to 31 countries as their bits, more as the whole set. */
function packSet(out: Writer, set: CountrySet): void {
  const bits = COUNTRIES.flatMap((_, bit) => (hasCountry(set, bit) ? [bit] : []))
  out.u8(Math.min(bits.length, SET_BYTES))
  out.bytes(bits.length < SET_BYTES ? Uint8Array.from(bits) : hexToBytes(set))
}

function readSet(from: Reader): CountrySet {
  const size = from.u8()
  if (size >= SET_BYTES) return from.hex(SET_BYTES)
  let bits = 0n
  for (let n = 0; n < size; n += 1) bits |= 1n << BigInt(from.u8())
  return `0x${bits.toString(16).padStart(64, '0')}`
}

function packGroup(out: Writer, group: NodeGroup, indexOf: (set: CountrySet) => number): void {
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
    out.u16(offer.warm, offer.freeSlots, offer.cold)
    out.u8(indexOf(offer.warmIn))
    out.u8(indexOf(offer.coldIn))
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
  const sets = from.list(() => readSet(from))
  const groups = from.list(() => readGroup(from, sets))
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

function readGroup(from: Reader, sets: readonly CountrySet[]): NodeGroup {
  const kind = from.u8()
  return {
    trust: named(NODE_TRUSTS, kind & 3),
    evidence: named(EVIDENCE_CLASSES, (kind >> 2) & 7),
    isQuarantined: kind >> 5 === 1,
    vouchers: from.u32(),
    networks: from.u32(),
    countries: new Map(from.list(() => [from.u8(), from.u16()])),
    offers: from.list(() => readOffer(from, sets)),
  }
}

function readOffer(from: Reader, sets: readonly CountrySet[]): WorkOffer {
  const [key, warm, freeSlots, cold] = [from.u32(), from.u16(), from.u16(), from.u16()]
  return {
    key,
    warm,
    freeSlots,
    cold,
    warmIn: named(sets, from.u8()),
    coldIn: named(sets, from.u8()),
  }
}

const EVERYWHERE: CountrySet = `0x7${'f'.repeat(63)}`

function named<Value>(values: readonly Value[], index: number): Value {
  const value = values[index]
  if (value === undefined) throw malformed(`with index ${index}`)
  return value
}

function malformed(how: string): AppError {
  return new AppError('invalid_request', `The summary of a hub is ${how}.`)
}

class Writer {
  readonly #bytes = new Uint8Array(SUMMARY_BYTES)
  readonly #view = new DataView(this.#bytes.buffer)
  #at = 0

  u8(value: number): void {
    this.#view.setUint8(this.#step(1), value)
  }

  u16(...values: number[]): void {
    for (const value of values) this.#view.setUint16(this.#step(2), Math.min(value, MOST))
  }

  u32(value: number): void {
    this.#view.setUint32(this.#step(4), value)
  }

  text(text: string): void {
    this.u8(text.length)
    this.bytes(new TextEncoder().encode(text))
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#step(bytes.length))
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }

  #step(size: number): number {
    const at = this.#at
    if (at + size > SUMMARY_BYTES) throw malformed('too long')
    this.#at += size
    return at
  }
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#step(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#step(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#step(4))
  }

  text(): string {
    const size = this.u8()
    const at = this.#step(size)
    return String.fromCharCode(...this.#bytes.subarray(at, at + size))
  }

  hex(size: number): `0x${string}` {
    const at = this.#step(size)
    return bytesToHex(this.#bytes.subarray(at, at + size))
  }

  list<Item>(read: () => Item): Item[] {
    return Array.from({ length: this.u8() }, read)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('too long')
  }

  #step(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) throw malformed('too short')
    this.#at += size
    return at
  }
}
