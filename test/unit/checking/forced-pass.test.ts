/** Logits are drawn, not computed by a model: the noise of devices and of weights is what is varied. Seeded. */
import { describe, expect, it } from 'vitest'
import { ForcedPass } from '#shared/checking/forced-pass.ts'
import { gumbelNoise, pickToken, type SharedSampling } from '#shared/checking/shared-noise.ts'
import { createRandom } from '#test/support/random.ts'

const VOCABULARY = 100
const TOKENS = 300
/** Deviations of one logit: between honest devices, and between a model and one with coarse weights. */
const DEVICE_NOISE = 0.005
const COARSE_NOISE = 0.4

interface Answer {
  readonly noise: number
  readonly sampling?: SharedSampling
  readonly seed: number
}

/** A text of one node, judged by another that has the same model without the noise. */
function judgeAnswer({ noise, sampling, seed }: Answer, claimed = sampling) {
  const random = createRandom(seed)
  const normal = () => {
    const [u, v] = [1 - random.below(2 ** 30) / 2 ** 30, random.below(2 ** 30) / 2 ** 30]
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v)
  }
  const pass = new ForcedPass({ sampling: claimed })
  for (let step = 0; step < TOKENS; step += 1) {
    const logits = Float32Array.from({ length: VOCABULARY }, () => 3 * normal())
    const own = logits.map((logit) => logit + noise * normal())
    const token = sampling === undefined ? greedy(own) : pickToken(own, sampling, step)
    pass.take(token, logits)
  }
  return pass.verdict()
}

function greedy(logits: Float32Array): number {
  return logits.indexOf(Math.max(...logits))
}

/** Share of pairs in which the liar's measure is above the honest one's. */
function areaUnderCurve(honest: readonly number[], liars: readonly number[]): number {
  const above = honest.flatMap((low) => liars.map((high) => (high > low ? 1 : 0)))
  return above.reduce<number>((sum, one) => sum + one, 0) / above.length
}

const SEEDS = Array.from({ length: 16 }, (_, index) => index + 1)
const SAMPLING = { temperature: 0.8, seed: 77 }

describe('a forced pass', () => {
  it.each([
    ['greedy', undefined],
    ['sampled', SAMPLING],
  ])(
    '[CH14] [CH15] passes %s text of another device and finds coarse weights in 300 tokens',
    (_name, sampling) => {
      const given = sampling === undefined ? {} : { sampling }
      const honest = SEEDS.map((seed) => judgeAnswer({ ...given, noise: DEVICE_NOISE, seed }))
      const liars = SEEDS.map((seed) => judgeAnswer({ ...given, noise: COARSE_NOISE, seed }))
      const measures = (verdicts: typeof honest) => verdicts.map(({ measure }) => measure)
      expect(areaUnderCurve(measures(honest), measures(liars))).toBeGreaterThanOrEqual(0.999)
      expect(honest.filter(({ outcome }) => outcome === 'differed')).toEqual([])
      expect(liars.filter(({ outcome }) => outcome === 'agreed')).toEqual([])
    },
  )

  it('finds text that was sampled with another seed', () => {
    const other = judgeAnswer({ noise: 0, sampling: { ...SAMPLING, seed: 78 }, seed: 1 }, SAMPLING)
    expect(other.outcome).toBe('differed')
    expect(judgeAnswer({ noise: 0, sampling: SAMPLING, seed: 1 }).measure).toBe(0)
  })

  it('forgives one odd token in a short answer, and not a token outside the vocabulary in each place', () => {
    const logits = new Float32Array([0, 0.6, 0])
    const one = new ForcedPass()
    one.take(0, logits)
    expect(one.verdict().outcome).toBe('agreed')
    const many = new ForcedPass()
    for (let step = 0; step < 20; step += 1) many.take(99, logits)
    expect(many.verdict()).toMatchObject({ outcome: 'differed', beyond: 20 })
  })

  it('takes logits that are no numbers for no agreement', () => {
    const pass = new ForcedPass()
    for (let step = 0; step < 20; step += 1) pass.take(0, new Float32Array(3).fill(NaN))
    expect(pass.verdict().outcome).toBe('differed')
  })
})

describe('shared noise', () => {
  it('picks tokens by their probability', () => {
    const logits = Float32Array.from([0.5, 0.3, 0.2].map(Math.log))
    const counts = [0, 0, 0]
    for (let step = 0; step < 20_000; step += 1) {
      const token = pickToken(logits, { temperature: 1, seed: 5 }, step)
      counts[token] = (counts[token] ?? 0) + 1
    }
    for (const [token, share] of [0.5, 0.3, 0.2].entries())
      expect((counts[token] ?? 0) / 20_000).toBeCloseTo(share, 1.8)
  })

  it('is the same for the same numbers, and unlike for a neighbour in any of them', () => {
    expect(gumbelNoise(1, 2, 3)).toBe(gumbelNoise(1, 2, 3))
    for (const [seed, step, token] of [
      [2, 2, 3],
      [1, 3, 3],
      [1, 2, 4],
    ] as const)
      expect(gumbelNoise(seed, step, token)).not.toBe(gumbelNoise(1, 2, 3))
    let sum = 0
    for (let token = 0; token < 10_000; token += 1) sum += gumbelNoise(0, 0, token)
    // The mean of the standard Gumbel distribution is Euler's constant.
    expect(sum / 10_000).toBeCloseTo(0.5772, 1)
  })
})
