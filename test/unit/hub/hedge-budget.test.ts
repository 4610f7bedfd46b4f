import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHedgeBudget } from '#worker/hub/choice/hedge-budget.ts'

const step = fc.oneof(
  fc.record({ kind: fc.constant('answer'), ownMs: fc.integer({ min: 1, max: 1_000 }) }),
  fc.record({ kind: fc.constant('late'), ownMs: fc.integer({ min: 1, max: 1_000 }) }),
  fc.record({ kind: fc.constant('cut'), ageMs: fc.nat(2_000), aheadMs: fc.nat(500) }),
)

describe('the budget of second attempts', () => {
  it('never spends more than 2 % of the answered work, for nodes or for the hub, whatever comes in which order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2_000 }), (steps) => {
        const budget = createHedgeBudget()
        const open: number[] = []
        let answeredMs = 0
        let spentMs = 0
        let [answers, bought] = [0, 0]
        for (const one of steps) {
          if ('ageMs' in one) {
            const ownMs = open.pop()
            if (ownMs !== undefined)
              spentMs -= budget.cutOff({ ownMs, aheadMs: one.aheadMs }, one.ageMs)
          } else if (one.kind === 'answer') {
            answeredMs += one.ownMs
            answers += 1
            budget.earn(one.ownMs)
          } else if (budget.spend(one.ownMs)) {
            spentMs += one.ownMs
            bought += 1
            open.push(one.ownMs)
          }
          expect(spentMs).toBeLessThanOrEqual(answeredMs * 0.02 + 1e-6)
          expect(bought * 2).toBeLessThanOrEqual((answeredMs + answers * 2) * 0.02 + 1e-6)
        }
      }),
      { seed: 2, numRuns: 300 },
    )
  })

  it('buys a job of the mean size for each fifty answers', () => {
    const budget = createHedgeBudget()
    for (let answer = 0; answer < 49; answer += 1) budget.earn(100)
    expect(budget.spend(100)).toBe(false)
    for (let answer = 0; answer < 2; answer += 1) budget.earn(100)
    expect(budget.spend(100)).toBe(true)
    expect(budget.spend(100)).toBe(false)
  })

  it('buys no more short jobs than 3 % of all, though each is cut off before it has cost any time', () => {
    const budget = createHedgeBudget()
    const [ownMs, aheadMs] = [1, 100]
    let bought = 0
    for (let answer = 0; answer < 1_000; answer += 1) {
      budget.earn(ownMs)
      if (!budget.spend(ownMs)) continue
      bought += 1
      budget.cutOff({ ownMs, aheadMs }, 0)
    }
    expect(bought).toBe(30)
  })

  it('saves only so much for bad times', () => {
    const budget = createHedgeBudget()
    for (let answer = 0; answer < 100_000; answer += 1) budget.earn(100)
    let bought = 0
    while (budget.spend(100)) bought += 1
    expect(bought).toBe(32)
  })

  it('returns what a second attempt has not computed when it is cut off', () => {
    const budget = createHedgeBudget()
    const second = { ownMs: 100, aheadMs: 50 }
    expect(budget.cutOff(second, 40)).toBe(100)
    expect(budget.cutOff(second, 80)).toBe(70)
    expect(budget.cutOff(second, 1_000)).toBe(0)
  })
})
