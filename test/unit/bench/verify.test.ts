/** The simulation of liars holds the aims of checked answers, by counts. Seeded. */
import { describe, expect, it } from 'vitest'
import { LIARS } from '../../../bench/verify/liars.ts'
import { adaptive, always, simulatePeer } from '../../../bench/verify/peers.ts'
import { simulate } from '../../../bench/verify/simulation.ts'

const PLAN = { seed: 1, nodes: 100, jobs: 60_000, tickMs: 10 }

function liarNamed(name: string) {
  const liar = LIARS.find((one) => one.name === name)
  if (liar === undefined) throw new Error(`no liar is called ${name}`)
  return liar
}

describe('liars among honest nodes', () => {
  it.each(['always wrong', 'empty and fast'])('are never served: %s', (name) => {
    const tally = simulate(PLAN, liarNamed(name))
    expect([tally.wrongDelivered, tally.wrongPaid]).toEqual([0, 0])
    expect([tally.liarsConvicted, tally.honestConvicted]).toEqual([5, 0])
  })

  it.each([
    'honest for 10',
    'honest for 200',
    'only valuable jobs',
    'old answers',
    'ring of one reporter',
    'ring of 20 %',
    'new keys',
    'new keys and addresses',
  ])('are paid nothing, and no honest node is convicted: %s', (name) => {
    const tally = simulate(PLAN, liarNamed(name))
    expect(tally.wrongPaid).toBe(0)
    expect(tally.honestConvicted).toBe(0)
    expect(tally.incomeRatio).toBeLessThanOrEqual(0.1)
    expect(tally.liarsConvicted).toBeGreaterThan(0)
  })

  it('who lie one time in twenty earn a tenth at most', () => {
    const tally = simulate(PLAN, liarNamed('5 % of the time'))
    expect(tally.incomeRatio).toBeLessThanOrEqual(0.1)
    expect(tally.wrongDelivered / tally.jobs).toBeLessThanOrEqual(2e-3)
    expect(tally.honestConvicted).toBe(0)
  })

  it('reach nobody under replication unless they agree', () => {
    const tally = simulate(PLAN, liarNamed('honest for 200'), 'replicated')
    expect(tally.wrongDelivered).toBe(0)
    expect(tally.liarsConvicted).toBe(5)
  })

  it('come out the same with the same seed', () => {
    const plan = { ...PLAN, jobs: 5_000 }
    const once = simulate(plan, liarNamed('ring of 20 %'))
    expect(simulate(plan, liarNamed('ring of 20 %'))).toEqual(once)
  })

  it('earn under the simple rules what they are refused here', () => {
    const ring = liarNamed('ring of 20 %')
    const plan = { ...PLAN, jobs: 20_000 }
    expect(simulatePeer(plan, ring, adaptive).wrongPaid).toBeGreaterThan(100)
    const doubled = simulatePeer(plan, ring, always)
    expect(doubled.checkWork / doubled.work).toBeGreaterThan(1)
    expect(doubled.wrongPaid).toBeGreaterThan(100)
  })
})
