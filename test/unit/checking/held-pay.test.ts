import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldPay, holdOf } from '#worker/checking/held-pay.ts'

const { checks, ms } = holdOf(1)

describe('held pay', () => {
  it('[CH12] is released after enough checks and enough time, not after one of them', () => {
    const held = new HeldPay()
    held.add(100, 0, 0)
    expect(held.release(checks, ms - 1, holdOf(1))).toBeUndefined()
    expect(held.release(checks - 1, ms, holdOf(1))).toBeUndefined()
    expect(held.release(checks, ms, holdOf(1))).toMatchObject({ passed: 0, microUsd: 100 })
    expect(held.microUsd).toBe(0)
  })

  it('is held longer for a node that earns faster, within bounds', () => {
    expect(holdOf(0.1)).toEqual(holdOf(1))
    expect(holdOf(4).checks).toBeGreaterThan(checks)
    expect(holdOf(4).ms).toBeGreaterThan(ms)
    expect(holdOf(1e9)).toEqual({ checks: 80, ms: 6 * ms })
  })

  it('is all void after a conviction', () => {
    const held = new HeldPay()
    held.add(100, 0, 0)
    held.add(50, 3, 0)
    expect(held.void()).toBe(150)
    expect(held.release(1_000, 1e9, holdOf(1))).toBeUndefined()
  })

  it('never loses or makes money, releases in order, and stays small', () => {
    const step = fc.record({ microUsd: fc.nat(1_000), isChecked: fc.boolean(), ms: fc.nat(60_000) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1_500 }), (steps) => {
        const held = new HeldPay()
        let [passed, nowMs, earned, paid, last] = [0, 0, 0, 0, -1]
        for (const one of steps) {
          nowMs += one.ms
          held.add(one.microUsd, passed, nowMs)
          earned += one.microUsd
          if (!one.isChecked) continue
          passed += 1
          const lot = held.release(passed, nowMs, holdOf(1))
          if (lot === undefined) continue
          expect(lot.passed).toBeGreaterThan(last)
          expect(lot.passed + checks).toBeLessThanOrEqual(passed)
          last = lot.passed
          paid += lot.microUsd
        }
        expect(paid + held.microUsd).toBe(earned)
        expect(held.lots().length).toBeLessThanOrEqual(160)
        expect(new HeldPay(held.lots()).microUsd).toBe(held.microUsd)
      }),
      { seed: 6, numRuns: 60 },
    )
  })
})
