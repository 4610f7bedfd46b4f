/** Chooses the next token, greedily or by temperature and top-p from a seeded stream, and computes likelihoods. */
import { AppError } from '#shared/base/errors.ts'

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number
  readonly topP: number
  /** Uniform in 0…1, 1 excluded. */
  readonly random: () => number
}

/** Allowed tokens, one bit each. Undefined allows all. */
export type TokenMask = Uint32Array

/** @throws {AppError} internal when no allowed token has a finite logit */
export function sampleToken(logits: Float32Array, sampling: Sampling, mask?: TokenMask): number {
  const best = argmax(logits, mask)
  return sampling.temperature === 0 ? best : draw(logits, { ...sampling, best, mask })
}

/** @throws {AppError} internal when no allowed token has a finite logit */
export function argmax(logits: Float32Array, mask?: TokenMask): number {
  let best = -1
  let most = -Infinity
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id] ?? -Infinity
    if (value > most && isAllowed(mask, id)) {
      best = id
      most = value
    }
  }
  // NaN never compares as greater, so a failed run ends here too.
  if (best === -1 || most === Infinity)
    throw new AppError('internal', 'The model gave no finite number for any allowed token.')
  return best
}

interface Draw extends Sampling {
  readonly best: number
  readonly mask: TokenMask | undefined
}

/** Tokens below this share of the best weight are considered only when those above do not suffice. */
const FIRST_CUT = 1e-3

function draw(logits: Float32Array, { temperature, topP, random, best, mask }: Draw): number {
  const highest = logits[best] ?? 0
  const weights = new Float64Array(logits.length)
  let total = 0
  for (let id = 0; id < logits.length; id++) {
    if (!isAllowed(mask, id)) continue
    const weight = Math.exp(((logits[id] ?? -Infinity) - highest) / temperature)
    if (!(weight >= 0)) continue
    weights[id] = weight
    total += weight
  }
  const ids = topP < 1 ? nucleus(weights, total * topP) : undefined
  const kept = ids?.reduce((sum, id) => sum + (weights[id] ?? 0), 0) ?? total
  let left = random() * kept
  const count = ids?.length ?? weights.length
  for (let index = 0; index < count; index++) {
    const id = ids?.[index] ?? index
    left -= weights[id] ?? 0
    if (left < 0) return id
  }
  // Rounding may leave a remainder; the likeliest token gets it.
  return best
}

/** The fewest ids, likeliest first, whose weights reach `enough`. */
function nucleus(weights: Float64Array, enough: number): number[] {
  for (let cut = FIRST_CUT; ; cut = cut < 1e-30 ? 0 : cut * FIRST_CUT) {
    const ids: number[] = []
    let sum = 0
    weights.forEach((weight, id) => {
      if (weight > 0 && weight >= cut) {
        ids.push(id)
        sum += weight
      }
    })
    if (sum < enough && cut > 0) continue
    ids.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
    let reached = 0
    const end = ids.findIndex((id) => (reached += weights[id] ?? 0) >= enough)
    return end === -1 ? ids : ids.slice(0, end + 1)
  }
}

export interface Likelihoods {
  /** Natural logarithm of a token's probability at temperature 1. */
  of(id: number): number
  readonly top: readonly number[]
}

const LEAST_LOGPROB = -9_999

export function likelihoods(logits: Float32Array, alternatives: number): Likelihoods {
  const highest = logits[argmax(logits)] ?? 0
  let sum = 0
  for (const value of logits) sum += Math.exp(value - highest) || 0
  const log = highest + Math.log(sum)
  return {
    of: (id) => Math.max(LEAST_LOGPROB, (logits[id] ?? -Infinity) - log),
    top: largest(logits, alternatives),
  }
}

function largest(logits: Float32Array, count: number): number[] {
  const top: number[] = []
  if (count === 0) return top
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id] ?? -Infinity
    if (top.length === count && value <= (logits[top[count - 1] ?? 0] ?? 0)) continue
    if (Number.isNaN(value)) continue
    const at = top.findIndex((other) => (logits[other] ?? 0) < value)
    top.splice(at === -1 ? top.length : at, 0, id)
    if (top.length > count) top.pop()
  }
  return top
}

/** A stream of uniform numbers that depends only on the seed (xoshiro128**, https://prng.di.unimi.it). */
export function createRandom(seed: number): () => number {
  const state = new Uint32Array(4)
  let mix = ((seed % 2 ** 32) ^ (Math.floor(seed / 2 ** 32) * 0x9e3779b9)) >>> 0
  for (let i = 0; i < 4; i++) {
    mix = (mix + 0x9e3779b9) >>> 0
    let word = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
    state[i] = word ^ (word >>> 16)
  }
  const next = () => {
    const [a = 0, b = 0, c = 0, d = 0] = state
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    state[2] = c ^ a
    state[3] = d ^ b
    state[1] = b ^ (state[2] ?? 0)
    state[0] = a ^ (state[3] ?? 0)
    state[2] = (state[2] ?? 0) ^ (b << 9)
    state[3] = rotate(state[3] ?? 0, 11)
    return result
  }
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}

function isAllowed(mask: TokenMask | undefined, id: number): boolean {
  return mask === undefined || (((mask[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1
}
