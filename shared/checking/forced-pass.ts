/** Judges a text by one forced pass: the checker's own logits for each token of the answer that it got. */
import { scoreOf, type SharedSampling } from './shared-noise.ts'

export interface TextTolerance {
  /** A token may score this much below the checker's best. In logits; divided by the temperature when sampled. */
  readonly margin: number
  /** Above it no margin counts more: one odd token must not outweigh all others. */
  readonly most: number
  /** Share of tokens beyond the margin that honest devices may reach. */
  readonly beyond: number
  /** Mean of the margins, each at most `most`, that honest devices may reach. */
  readonly mean: number
}

/** For a model without its own, until honest pairs of devices have been measured on it. */
export const DEFAULT_TEXT_TOLERANCE: TextTolerance = {
  margin: 0.5,
  most: 4,
  beyond: 0.005,
  mean: 0.01,
}

/** Tokens beyond the margin that every answer may have, however short. */
const FREE_BEYOND = 1
/** Tokens over which the mean is taken at least, so that one close choice in a short answer is not a difference. */
const LEAST_TOKENS = 100

export interface ForcedVerdict {
  readonly outcome: 'agreed' | 'differed'
  /** The worse of the two figures divided by its limit: at most 1 agrees. */
  readonly measure: number
  readonly tokens: number
  readonly beyond: number
  readonly meanMargin: number
}

export interface ForcedOptions {
  readonly tolerance?: TextTolerance
  /** Undefined for greedy text. */
  readonly sampling?: SharedSampling | undefined
}

/** Takes the tokens of one answer in order. It keeps sums, never tokens or logits. */
export class ForcedPass {
  readonly #tolerance: TextTolerance
  readonly #sampling: SharedSampling | undefined
  #tokens = 0
  #beyond = 0
  #sum = 0

  constructor({ tolerance = DEFAULT_TEXT_TOLERANCE, sampling }: ForcedOptions = {}) {
    this.#tolerance = tolerance
    this.#sampling = sampling
  }

  /**
   * @param token the answer's next token
   * @param logits [vocabulary] the checker's, after the tokens before it
   */
  take(token: number, logits: Float32Array): void {
    const { margin, most } = this.#tolerance
    const found = marginOf(token, logits, { step: this.#tokens, sampling: this.#sampling })
    const allowed = margin / (this.#sampling?.temperature ?? 1)
    this.#tokens += 1
    if (!(found <= allowed)) this.#beyond += 1
    this.#sum += Number.isNaN(found) ? most : Math.min(found, most)
  }

  verdict(): ForcedVerdict {
    const { beyond: beyondShare, mean } = this.#tolerance
    const [tokens, beyond] = [this.#tokens, this.#beyond]
    const meanMargin = this.#sum / Math.max(LEAST_TOKENS, tokens)
    const allowed = FREE_BEYOND + beyondShare * tokens
    const measure = Math.max(beyond / allowed, meanMargin / mean)
    return { outcome: measure <= 1 ? 'agreed' : 'differed', measure, tokens, beyond, meanMargin }
  }
}

interface Place {
  readonly step: number
  readonly sampling: SharedSampling | undefined
}

/** How far the token scores below the best one; infinite for a token outside the vocabulary. */
export function marginOf(token: number, logits: Float32Array, { step, sampling }: Place): number {
  const own = logits[token]
  if (own === undefined) return Infinity
  const score = (logit: number, id: number) =>
    sampling === undefined ? logit : scoreOf(logit, sampling, { step, token: id })
  let best = -Infinity
  for (let id = 0; id < logits.length; id += 1) {
    const found = score(logits[id] ?? -Infinity, id)
    if (found > best) best = found
  }
  return best - score(own, token)
}
