/**
 * Sampling that a second node can repeat: the noise of each token follows from the seed, the step and the token.
 * The token with the highest score is sampled exactly as by its probability (Gumbel-max). A small change of the
 * logits changes the choice only where two scores are close. After Token-DiFR, https://arxiv.org/abs/2511.20621.
 */

export interface SharedSampling {
  /** Above 0; greedy text needs no noise. */
  readonly temperature: number
  /** A whole number below 2^32 that hub, node and checker know. */
  readonly seed: number
}

/** The token's logit divided by the temperature, with the noise of this step. */
export function scoreOf(
  logit: number,
  { temperature, seed }: SharedSampling,
  at: { readonly step: number; readonly token: number },
): number {
  return logit / temperature + gumbelNoise(seed, at.step, at.token)
}

/** The token that the seed picks. @param logits [vocabulary] @param step its place in the answer, from 0 */
export function pickToken(logits: Float32Array, sampling: SharedSampling, step: number): number {
  let [best, most] = [-1, -Infinity]
  for (let token = 0; token < logits.length; token += 1) {
    const score = scoreOf(logits[token] ?? -Infinity, sampling, { step, token })
    if (score > most) [best, most] = [token, score]
  }
  return best
}

/** Noise of the standard Gumbel distribution; the same three numbers always give the same. */
export function gumbelNoise(seed: number, step: number, token: number): number {
  const mixed = mix(mix(mix(seed) ^ step) ^ token)
  return -Math.log(-Math.log((mixed + 0.5) / 2 ** 32))
}

/** A bijection of 32 bits that mixes well (the finaliser of MurmurHash3, after a step that moves 0). */
function mix(value: number): number {
  let word = (value + 0x9e3779b9) >>> 0
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return (word ^ (word >>> 16)) >>> 0
}
