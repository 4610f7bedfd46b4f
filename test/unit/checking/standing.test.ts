import { describe, expect, it } from 'vitest'
import { checkRate, FLOOR_RATE } from '#worker/checking/rate.ts'
import {
  afterAgreed,
  afterInconclusive,
  afterLoss,
  canServe,
  ENTRY_CHECKS,
  newStanding,
  type Standing,
} from '#worker/checking/standing.ts'

const PLAIN = { worth: 1, growth: 1, isAlarmed: false }

function stranger(convictions = 0): Standing {
  return newStanding({ isVouched: false, convictions, nowMs: 0 })
}

function agreeTimes(standing: Standing, times: number): Standing {
  let next = standing
  for (let check = 0; check < times; check += 1) next = afterAgreed(next, check)
  return next
}

describe('standing', () => {
  it('[CH1] comes with the tenth agreed check in a row, not before', () => {
    expect(canServe(agreeTimes(stranger(), ENTRY_CHECKS - 1))).toBe(false)
    expect(canServe(agreeTimes(stranger(), ENTRY_CHECKS))).toBe(true)
  })

  it('starts again at nothing when a newcomer loses narrowly', () => {
    const nine = agreeTimes(stranger(), ENTRY_CHECKS - 1)
    const lost = afterLoss(nine, { isGross: false, nowMs: 1 })
    expect(canServe(agreeTimes(lost, 1))).toBe(false)
    expect(canServe(agreeTimes(lost, ENTRY_CHECKS))).toBe(true)
  })

  it('is there at once for a vouched node, unless its reporter was convicted', () => {
    expect(canServe(newStanding({ isVouched: true, convictions: 0, nowMs: 0 }))).toBe(true)
    expect(canServe(newStanding({ isVouched: true, convictions: 1, nowMs: 0 }))).toBe(false)
  })

  it('[CH2] takes a new key of a convicted reporter twice as many checks for each conviction, within a bound', () => {
    const needed = [0, 1, 2, 3, 5, 6, 50].map((convictions) => stranger(convictions).needed)
    expect(needed).toEqual([10, 20, 40, 80, 320, 320, 320])
  })

  it('[CH10] ends with one gross loss, and stays ended', () => {
    const convicted = afterLoss(agreeTimes(stranger(), 500), { isGross: true, nowMs: 7 })
    expect(convicted.convictedAtMs).toBe(7)
    expect(canServe(agreeTimes(convicted, 1_000))).toBe(false)
  })

  it('[CH10] ends with the third narrow loss, and forgets those that lie a hundred checks back', () => {
    const narrow = { isGross: false, nowMs: 1 }
    const proven = agreeTimes(stranger(), 50)
    const twice = afterLoss(afterLoss(proven, narrow), narrow)
    expect(canServe(twice)).toBe(true)
    expect(canServe(afterLoss(twice, narrow))).toBe(false)
    expect(canServe(afterLoss(agreeTimes(twice, 102), narrow))).toBe(true)
  })
})

describe('the rate of checks', () => {
  it('[CH5] is one below ten agreed checks, then falls, and never below its floor', () => {
    let standing = stranger()
    let before = 1
    for (let check = 1; check <= 200; check += 1) {
      standing = afterAgreed(standing, check)
      const rate = checkRate(standing, PLAIN)
      if (check < ENTRY_CHECKS) expect(rate).toBe(1)
      else expect(rate).toBeLessThan(1)
      expect(rate).toBeLessThanOrEqual(before)
      expect(rate).toBeGreaterThanOrEqual(FLOOR_RATE)
      before = rate
    }
    expect(before).toBe(FLOOR_RATE)
  })

  it('starts no lower after a longer entry, and under suspicion', () => {
    const again = agreeTimes(stranger(2), 40)
    expect(canServe(again)).toBe(true)
    expect(checkRate(again, PLAIN)).toBeGreaterThanOrEqual(0.5)
    const unsuspected = { ...again, suspicion: 0 }
    expect(checkRate(unsuspected, PLAIN)).toBe(checkRate(agreeTimes(stranger(), 10), PLAIN))
  })

  it('[CH6] rises with suspicion, worth, a growing share and an alarm, and never above one', () => {
    const proven = agreeTimes(stranger(), 100)
    const base = checkRate(proven, PLAIN)
    for (const job of [
      { ...PLAIN, worth: 4 },
      { ...PLAIN, growth: 5 },
      { ...PLAIN, isAlarmed: true },
    ])
      expect(checkRate(proven, job)).toBeGreaterThan(base)
    expect(checkRate(afterInconclusive(proven), PLAIN)).toBeGreaterThanOrEqual(0.5)
    for (let checks = 10; checks < 100; checks += 1) {
      const most = { worth: 1e9, growth: 1e9, isAlarmed: true }
      expect(checkRate(agreeTimes(stranger(), checks), most)).toBeLessThanOrEqual(1)
    }
  })

  it('is not lowered by a small price or a shrinking share', () => {
    const proven = agreeTimes(stranger(), 100)
    expect(checkRate(proven, { worth: 0, growth: 0, isAlarmed: false })).toBe(FLOOR_RATE)
  })
})
