import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lateness } from '#worker/hub/members/lateness.ts'
import { createRandom } from '#test/support/random.ts'

const KIND = 'm 1'

describe('how much longer than expected a job may take before it is late', () => {
  it('is unknown until enough jobs of that kind have ended', () => {
    const lateness = new Lateness()
    for (let answer = 0; answer < 63; answer += 1) lateness.record(KIND, 1)
    expect(lateness.ratioOf(KIND)).toBe(Infinity)
    lateness.record(KIND, 1)
    expect(lateness.ratioOf(KIND)).toBeLessThan(1.2)
    expect(lateness.ratioOf('m 2')).toBe(Infinity)
  })

  it('is the 95th percentile, at most a bin too long and never too short', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        (seed, spread) => {
          const lateness = new Lateness()
          const random = createRandom(seed)
          const ratios = Array.from(
            { length: 900 },
            () => 0.5 * 2 ** ((random.below(1_000) / 1_000) * spread),
          )
          for (const ratio of ratios) lateness.record(KIND, ratio)
          const exact = ratios.toSorted((a, b) => a - b)[Math.floor(900 * 0.95)] ?? NaN
          expect(lateness.ratioOf(KIND)).toBeGreaterThanOrEqual(exact * 0.999)
          expect(lateness.ratioOf(KIND)).toBeLessThanOrEqual(exact * 2 ** (1 / 8) * 1.001)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })

  it('follows the jobs of late', () => {
    const lateness = new Lateness()
    for (let answer = 0; answer < 2_000; answer += 1) lateness.record(KIND, 1)
    for (let answer = 0; answer < 400; answer += 1) lateness.record(KIND, 4)
    expect(lateness.ratioOf(KIND)).toBeGreaterThan(4)
    for (let answer = 0; answer < 4_000; answer += 1) lateness.record(KIND, 1)
    expect(lateness.ratioOf(KIND)).toBeLessThan(1.2)
  })

  it('holds for any ratio, however small or large', () => {
    const lateness = new Lateness()
    for (let answer = 0; answer < 100; answer += 1)
      lateness.record(KIND, answer % 2 === 0 ? 0 : 1e9)
    expect(lateness.ratioOf(KIND)).toBeGreaterThan(100)
    expect(lateness.ratioOf(KIND)).toBeLessThan(Infinity)
  })
})
