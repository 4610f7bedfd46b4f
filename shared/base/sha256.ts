/**
 * SHA-256 (FIPS 180-4) in JavaScript, for short inputs where the runtime's own function costs a promise or an object:
 * workerd and browsers. It makes nothing but the result, where general libraries make a state for each input.
 */

const BLOCK_BYTES = 64
const LENGTH_BYTES = 8
const HASH_WORDS = 8

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND_CONSTANTS = new Int32Array(BLOCK_BYTES)
/** The same of the square roots of the first eight. */
const FIRST_STATE = new Int32Array(HASH_WORDS)

const schedule = new Int32Array(BLOCK_BYTES)
const state = new Int32Array(HASH_WORDS)
/** The end of an input with its padding: one block or two. */
const tail = new Uint8Array(2 * BLOCK_BYTES)

/** @returns 32 bytes */
export function sha256(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  state.set(FIRST_STATE)
  const wholeBytes = length - (length % BLOCK_BYTES)
  for (let at = 0; at < wholeBytes; at += BLOCK_BYTES) mix(bytes, at)
  const restBytes = length - wholeBytes
  for (let i = 0; i < restBytes; i += 1) tail[i] = bytes[wholeBytes + i] ?? 0
  tail[restBytes] = 0x80
  const tailBytes = restBytes + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES
  tail.fill(0, restBytes + 1, tailBytes)
  // The length in bits. An input of 2^32 bits or more has a high word, too.
  writeWord(tail, tailBytes - 8, Math.floor(length / 2 ** 29))
  writeWord(tail, tailBytes - 4, length << 3)
  for (let at = 0; at < tailBytes; at += BLOCK_BYTES) mix(tail, at)
  const hash = new Uint8Array(4 * HASH_WORDS)
  for (let i = 0; i < HASH_WORDS; i += 1) writeWord(hash, 4 * i, state[i] ?? 0)
  return hash
}

function writeWord(into: Uint8Array, at: number, word: number): void {
  into[at] = word >>> 24
  into[at + 1] = word >>> 16
  into[at + 2] = word >>> 8
  into[at + 3] = word
}

/** Mixes one block into the state. Array reads carry `as number`: an index in range never misses. */
function mix(bytes: Uint8Array, start: number): void {
  const w = schedule
  for (let i = 0, at = start; i < 16; i += 1, at += 4)
    w[i] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
  for (let i = 16; i < BLOCK_BYTES; i += 1) {
    const x = w[i - 15] as number
    const y = w[i - 2] as number
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = (s1 + (w[i - 7] as number) + s0 + (w[i - 16] as number)) | 0
  }
  let a = state[0] as number
  let b = state[1] as number
  let c = state[2] as number
  let d = state[3] as number
  let e = state[4] as number
  let f = state[5] as number
  let g = state[6] as number
  let h = state[7] as number
  for (let i = 0; i < BLOCK_BYTES; i += 1) {
    const e1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const choice = g ^ (e & (f ^ g))
    const t1 = (h + e1 + choice + (ROUND_CONSTANTS[i] as number) + (w[i] as number)) | 0
    const a0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const majority = (a & b) | (c & (a | b))
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + a0 + majority) | 0
  }
  state[0] = ((state[0] as number) + a) | 0
  state[1] = ((state[1] as number) + b) | 0
  state[2] = ((state[2] as number) + c) | 0
  state[3] = ((state[3] as number) + d) | 0
  state[4] = ((state[4] as number) + e) | 0
  state[5] = ((state[5] as number) + f) | 0
  state[6] = ((state[6] as number) + g) | 0
  state[7] = ((state[7] as number) + h) | 0
}

let found = 0
for (let n = 2; found < BLOCK_BYTES; n += 1) {
  if (!isPrime(n)) continue
  ROUND_CONSTANTS[found] = fraction(Math.cbrt(n))
  if (found < HASH_WORDS) FIRST_STATE[found] = fraction(Math.sqrt(n))
  found += 1
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor += 1) if (n % divisor === 0) return false
  return true
}

function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0
}
