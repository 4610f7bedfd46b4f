/** Maps 32-byte digests to two numbers, for hundreds of thousands of them; a Map of strings takes ten times the memory. */
import { bytesToHex } from 'viem'
import type { Bytes32 } from '#shared/base/ids.ts'

const WORDS = 8
const FIRST_SLOTS = 1_024

export type Pair = readonly [number, number]

export class DigestTable {
  #keys = new Uint32Array(FIRST_SLOTS * WORDS)
  /** The first number is NaN in a free slot, and infinite in a deleted one. */
  #values = new Float64Array(FIRST_SLOTS * 2).fill(NaN)
  #used = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** @param digest 32 bytes of a hash, so that its first word spreads evenly */
  set(digest: Uint8Array, pair: Pair): void {
    if (2 * (this.#used + 1) > this.#values.length / 2) this.#grow()
    this.#put(wordsOf(digest), pair)
  }

  #put(words: Uint32Array, pair: Pair): void {
    const slot = this.#find(words)
    const before = this.#values[2 * slot] ?? NaN
    if (Number.isNaN(before)) this.#used += 1
    if (!Number.isFinite(before)) this.#size += 1
    this.#keys.set(words, slot * WORDS)
    this.#values.set(pair, 2 * slot)
  }

  get(digest: Uint8Array): Pair | undefined {
    const slot = this.#find(wordsOf(digest))
    const a = this.#values[2 * slot] ?? NaN
    return Number.isFinite(a) ? [a, this.#values[2 * slot + 1] ?? 0] : undefined
  }

  delete(digest: Uint8Array): void {
    const slot = this.#find(wordsOf(digest))
    if (!Number.isFinite(this.#values[2 * slot])) return
    this.#values[2 * slot] = Infinity
    this.#size -= 1
  }

  *entries(): Generator<readonly [Bytes32, Pair]> {
    for (let slot = 0; slot < this.#values.length / 2; slot += 1) {
      const a = this.#values[2 * slot] ?? NaN
      if (!Number.isFinite(a)) continue
      const view = new DataView(new ArrayBuffer(4 * WORDS))
      for (let i = 0; i < WORDS; i += 1) view.setUint32(4 * i, this.#keys[slot * WORDS + i] ?? 0)
      yield [bytesToHex(new Uint8Array(view.buffer)), [a, this.#values[2 * slot + 1] ?? 0]]
    }
  }

  /** The digest's slot, or the free slot where it would go. */
  #find(words: Uint32Array): number {
    const slots = this.#values.length / 2
    for (let slot = (words[0] ?? 0) % slots; ; slot = (slot + 1) % slots) {
      if (Number.isNaN(this.#values[2 * slot])) return slot
      if (words.every((word, i) => this.#keys[slot * WORDS + i] === word)) return slot
    }
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values]
    this.#keys = new Uint32Array(keys.length * 2)
    this.#values = new Float64Array(values.length * 2).fill(NaN)
    this.#used = 0
    this.#size = 0
    for (let from = 0; from < values.length / 2; from += 1) {
      const [a = NaN, b = 0] = values.subarray(2 * from)
      if (Number.isFinite(a)) this.#put(keys.subarray(from * WORDS, (from + 1) * WORDS), [a, b])
    }
  }
}

function wordsOf(digest: Uint8Array): Uint32Array {
  const view = new DataView(digest.buffer, digest.byteOffset, 4 * WORDS)
  return Uint32Array.from({ length: WORDS }, (_, i) => view.getUint32(4 * i))
}
