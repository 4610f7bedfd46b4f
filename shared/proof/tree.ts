/**
 * Merkle trees by RFC 9162, section 2.1 (https://www.rfc-editor.org/rfc/rfc9162#section-2.1): SHA-256, 0x00 before a leaf,
 * 0x01 before a pair. {@link buildTree} holds a tree in memory. For a log, the caller keeps the hashes and gives a reader.
 */
import { bytesToHex, hexToBytes } from 'viem'
import { invariant } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { sha256Bytes } from '#shared/base/native-crypto.ts'

/** Root of the complete subtree over leaves `index * 2^level` to `(index + 1) * 2^level`, all of them in the log. */
export type HashReader = (level: number, index: number) => Uint8Array

const HASH_BYTES = 32
/** Root of an empty log: SHA-256 of nothing. */
const EMPTY_LOG_ROOT = sha256Bytes(new Uint8Array())

export function leafHash(entry: Uint8Array): Uint8Array {
  const prefixed = new Uint8Array(1 + entry.length)
  prefixed.set(entry, 1)
  return sha256Bytes(prefixed)
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  PAIR.set(left, 1)
  PAIR.set(right, 1 + HASH_BYTES)
  return sha256Bytes(PAIR)
}

/** The bytes of the pair that is being hashed. */
const PAIR = Uint8Array.of(1, ...new Uint8Array(2 * HASH_BYTES))

/** The root of the log's first `size` leaves. */
export function treeRoot(size: number, read: HashReader): Bytes32 {
  return bytesToHex(size === 0 ? EMPTY_LOG_ROOT : rangeHash(0, size, read))
}

/** A whole tree in memory. */
export interface Tree {
  readonly size: number
  readonly root: Bytes32
  /** Sibling hashes from the leaf up. @throws when there is no such leaf */
  proof(index: number): Bytes32[]
}

/** @param leaves hashes of leaves, as {@link leafHash} gives them; not their bytes */
export function buildTree(leaves: readonly Bytes32[]): Tree {
  const size = leaves.length
  const levels = [flatten(leaves)]
  for (let level = levels[0]; level !== undefined && level.length >= 2 * HASH_BYTES;) {
    level = parentsOf(level)
    levels.push(level)
  }
  const read: HashReader = (level, index) => {
    const start = index * HASH_BYTES
    return levels[level]?.subarray(start, start + HASH_BYTES) ?? EMPTY_LOG_ROOT
  }
  return {
    size,
    root: treeRoot(size, read),
    proof: (index) => inclusionProof({ index, size }, read),
  }
}

/** Parents of the complete pairs of a level; one flat array each. */
function parentsOf(level: Uint8Array): Uint8Array {
  const count = Math.floor(level.length / (2 * HASH_BYTES))
  const parents = new Uint8Array(count * HASH_BYTES)
  for (let index = 0; index < count; index += 1) {
    const start = index * 2 * HASH_BYTES
    PAIR.set(level.subarray(start, start + 2 * HASH_BYTES), 1)
    parents.set(sha256Bytes(PAIR), index * HASH_BYTES)
  }
  return parents
}

function flatten(leaves: readonly Bytes32[]): Uint8Array {
  const flat = new Uint8Array(leaves.length * HASH_BYTES)
  for (const [index, leaf] of leaves.entries()) flat.set(hexToBytes(leaf), index * HASH_BYTES)
  return flat
}

/** Sibling hashes from the leaf up. @throws when the leaf is not among the first `size` */
export function inclusionProof(
  { index, size }: { readonly index: number; readonly size: number },
  read: HashReader,
): Bytes32[] {
  invariant(index >= 0 && index < size, `leaf ${index} is not in a log of ${size}`)
  const path: Uint8Array[] = []
  let [start, length] = [0, size]
  while (length > 1) {
    const split = largestPowerBelow(length)
    const isLeft = index - start < split
    path.push(
      isLeft ? rangeHash(start + split, length - split, read) : rangeHash(start, split, read),
    )
    if (!isLeft) start += split
    length = isLeft ? split : length - split
  }
  return path.reverse().map((hash) => bytesToHex(hash))
}

/** Shows that the log of `to` leaves begins with the log of `from` leaves. @throws when `to` is smaller */
export function consistencyProof(
  { from, to }: { readonly from: number; readonly to: number },
  read: HashReader,
): Bytes32[] {
  invariant(from >= 0 && from <= to, `a log of ${to} does not begin with one of ${from}`)
  if (from === 0 || from === to) return []
  const path: Uint8Array[] = []
  let [start, length, rest, isWhole] = [0, to, from, true]
  while (rest !== length) {
    const split = largestPowerBelow(length)
    if (rest <= split) {
      path.push(rangeHash(start + split, length - split, read))
      length = split
    } else {
      path.push(rangeHash(start, split, read))
      start += split
      rest -= split
      length -= split
      isWhole = false
    }
  }
  if (!isWhole) path.push(rangeHash(start, length, read))
  return path.reverse().map((hash) => bytesToHex(hash))
}

export interface Inclusion {
  readonly index: number
  readonly size: number
  readonly root: Bytes32
  /** The leaf's hash, not its bytes. */
  readonly leaf: Bytes32
  readonly proof: readonly Bytes32[]
}

/** RFC 9162, section 2.1.3.2. */
export function verifyInclusion({ index, size, root, leaf, proof }: Inclusion): boolean {
  return rootOf({ index, size, leaf, proof }) === root
}

/** The root that a proof leads to; undefined for a proof that cannot be of that leaf in a tree of that size. */
export function rootOf({ index, size, leaf, proof }: Omit<Inclusion, 'root'>): Bytes32 | undefined {
  if (!isSize(index) || !isSize(size) || index >= size) return undefined
  const path = siblings(index, size - 1, proof)
  return path === undefined ? undefined : bytesToHex(fold(hexToBytes(leaf), path))
}

/** Root of the log's first `index + 1` leaves, from a proof of leaf `index` in a longer log that was verified. */
export function rootUpTo({ index, size, leaf, proof }: Omit<Inclusion, 'root'>): Bytes32 {
  const path = siblings(index, size - 1, proof) ?? []
  return bytesToHex(fold(hexToBytes(leaf), leftOf(path)))
}

interface Sibling {
  readonly hash: Uint8Array
  readonly isLeft: boolean
}

/** A leaf's place as the turns of its proof: bit i is 1 where sibling i is on the left. Any two turns have two roots. */
export function turnsOf({
  index,
  size,
}: {
  readonly index: number
  readonly size: number
}): number {
  let [at, last, turns, bit] = [index, size - 1, 0, 1]
  for (; last > 0; bit *= 2) {
    const isLeft = isOdd(at) || at === last
    if (isLeft) turns += bit
    if (isLeft) while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    ;[at, last] = [half(at), half(last)]
  }
  return turns
}

/** The root that a leaf and its siblings lead to by these turns; undefined for turns beyond the siblings. */
export function rootByTurns(
  leaf: Bytes32,
  { turns, proof }: { readonly turns: number; readonly proof: readonly Bytes32[] },
): Bytes32 | undefined {
  // Turns are an index in a complete tree.
  return rootOf({ index: turns, size: 2 ** proof.length, leaf, proof })
}

/** A proof's siblings from the bottom up; undefined for a proof of the wrong length. */
function siblings(index: number, end: number, proof: readonly Bytes32[]): Sibling[] | undefined {
  let [at, last] = [index, end]
  const path: Sibling[] = []
  for (const hex of proof) {
    if (last === 0) return undefined
    const isLeft = isOdd(at) || at === last
    path.push({ hash: hexToBytes(hex), isLeft })
    if (isLeft) while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 ? path : undefined
}

function leftOf(path: readonly Sibling[]): Sibling[] {
  return path.filter(({ isLeft }) => isLeft)
}

function fold(start: Uint8Array, path: readonly Sibling[]): Uint8Array {
  return path.reduce(
    (hash, { hash: sibling, isLeft }) =>
      isLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling),
    start,
  )
}

export interface Consistency {
  readonly from: number
  readonly to: number
  readonly fromRoot: Bytes32
  readonly toRoot: Bytes32
  readonly proof: readonly Bytes32[]
}

/** RFC 9162, section 2.1.4.2. Every log begins with the empty log. */
export function verifyConsistency({ from, to, fromRoot, toRoot, proof }: Consistency): boolean {
  if (!isSize(from) || !isSize(to) || from > to) return false
  if (from === to) return proof.length === 0 && fromRoot === toRoot
  if (from === 0) return proof.length === 0 && fromRoot === bytesToHex(EMPTY_LOG_ROOT)
  let [at, last] = [from - 1, to - 1]
  while (isOdd(at)) [at, last] = [half(at), half(last)]
  // A `from` that is a power of two is itself the first node of the path, and the proof omits it.
  const [first, ...rest] = at === 0 ? [fromRoot, ...proof] : proof
  const path = siblings(at, last, rest)
  if (first === undefined || path === undefined) return false
  const start = hexToBytes(first)
  return (
    bytesToHex(fold(start, leftOf(path))) === fromRoot && bytesToHex(fold(start, path)) === toRoot
  )
}

/** Hash over `length` leaves from `start` on, which is a multiple of the next power of two. */
function rangeHash(start: number, length: number, read: HashReader): Uint8Array {
  const level = Math.log2(length)
  if (Number.isInteger(level)) return read(level, start / length)
  const split = largestPowerBelow(length)
  return nodeHash(rangeHash(start, split, read), rangeHash(start + split, length - split, read))
}

function largestPowerBelow(length: number): number {
  return 2 ** Math.floor(Math.log2(length - 1))
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isOdd(value: number): boolean {
  return value % 2 === 1
}

function half(value: number): number {
  return Math.floor(value / 2)
}
