/** Seeded random choices (mulberry32). */

export interface Random {
  /** A whole number in [0, bound). */
  below(bound: number): number
  chance(probability: number): boolean
  bytes(sizeBytes: number): Uint8Array
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (bound) => Math.floor(next() * bound),
    chance: (probability) => next() < probability,
    bytes: (sizeBytes) => Uint8Array.from({ length: sizeBytes }, () => Math.floor(next() * 256)),
  }
}
