import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseChecker, isIndependent, type Party } from '#worker/checking/checker.ts'
import { claimOf, judge, LEAD, MOST_VOTES, type Vote } from '#worker/checking/verdict.ts'
import { createRandom } from '#test/support/random.ts'

function partyOf(index: number): Party {
  return { key: `k${index}`, reporter: `r${index}`, network: `n${index}` }
}

function votesOf(...claims: number[]): Vote<Party>[] {
  return claims.map((claim, index) => ({ node: partyOf(index), claim }))
}

describe('a verdict', () => {
  it('is agreed when two nodes agree, and asks another when they differ', () => {
    expect(judge(votesOf(0, 0), false)).toEqual({ kind: 'agreed', claim: 0 })
    expect(judge(votesOf(0), false)).toEqual({ kind: 'open' })
    expect(judge(votesOf(0, 1), false)).toEqual({ kind: 'open' })
  })

  it('[CH9] convicts nobody on the word of one checker', () => {
    expect(judge(votesOf(0, 1), true)).toEqual({ kind: 'inconclusive' })
    expect(judge(votesOf(0), true)).toEqual({ kind: 'inconclusive' })
  })

  it('[CH9] settles when one claim leads, also against the checker that lied alone', () => {
    const honest = Array<number>(LEAD + 1).fill(0)
    expect(judge(votesOf(9, ...honest), false)).toEqual({ kind: 'settled', claim: 0 })
    expect(judge(votesOf(0, 9, ...honest.slice(1)), false)).toEqual({ kind: 'settled', claim: 0 })
    expect(judge(votesOf(9, ...honest.slice(1)), false)).toEqual({ kind: 'open' })
  })

  it('takes two against one when nobody else can be asked, and leaves everything closer open', () => {
    expect(judge(votesOf(9, 0, 0), true)).toEqual({ kind: 'settled', claim: 0 })
    expect(judge(votesOf(9, 0, 0, 9), true)).toEqual({ kind: 'inconclusive' })
    expect(judge(votesOf(9, 8, 7), true)).toEqual({ kind: 'inconclusive' })
    expect(judge(votesOf(9, 9, 0, 0, 0), true)).toEqual({ kind: 'inconclusive' })
  })

  it('always ends within its bound of votes', () => {
    const split = Array.from({ length: MOST_VOTES }, (_, index) => index % 2)
    expect(judge(votesOf(...split), false).kind).not.toBe('open')
  })

  it('does not depend on the order of the votes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { minLength: 2, maxLength: 12 }), (claims) => {
        const reversed = claims.toReversed()
        const [one, other] = [judge(votesOf(...claims), true), judge(votesOf(...reversed), true)]
        expect(one.kind).toBe(other.kind)
        if (one.kind === 'settled') expect(one).toEqual(other)
      }),
      { seed: 4, numRuns: 500 },
    )
  })

  it('counts an answer for the first claim that it agrees with, and never through a third answer', () => {
    const isNear = (one: number, other: number) => Math.abs(one - other) <= 1
    expect(claimOf(5, [], isNear)).toBe(0)
    expect(claimOf(5.9, [5, 9], isNear)).toBe(0)
    // It is near 5.9, which counts for 5, but not near 5.
    expect(claimOf(6.8, [5, 9], isNear)).toBe(2)
  })

  it('refuses two votes of one reporter', () => {
    const [first, second] = [partyOf(0), { ...partyOf(1), reporter: 'r0' }]
    const votes = [first, second].map((node) => ({ node, claim: 0 }))
    expect(() => judge(votes, false)).toThrow('one reporter')
  })
})

describe('the choice of a checker', () => {
  const random = createRandom(3)
  const uniform = () => random.below(2 ** 20) / 2 ** 20
  const answered = [partyOf(0)]

  it('[CH8] never takes a node of the same key, reporter or network, or one that the policy refuses', () => {
    const siblings = [
      partyOf(0),
      { ...partyOf(1), reporter: 'r0' },
      { ...partyOf(2), network: 'n0' },
      partyOf(3),
      partyOf(4),
    ]
    for (let turn = 0; turn < 200; turn += 1) {
      const isAllowed = ({ key }: Party) => key !== 'k4'
      const chosen = chooseChecker(siblings, { answered, isAllowed, random: uniform })
      expect(chosen?.key).toBe('k3')
    }
  })

  it('finds none rather than one that is not allowed', () => {
    const isAllowed = () => false
    const candidates = Array.from({ length: 40 }, (_, index) => partyOf(index))
    expect(chooseChecker(candidates, { answered, isAllowed, random: uniform })).toBeUndefined()
  })

  it('takes each that fits equally often', () => {
    const candidates = Array.from({ length: 50 }, (_, index) => partyOf(index))
    const isAllowed = ({ key }: Party) => Number(key.slice(1)) % 10 === 1
    const counts = new Map<string, number>()
    for (let turn = 0; turn < 5_000; turn += 1) {
      const chosen = chooseChecker(candidates, { answered, isAllowed, random: uniform })
      if (chosen !== undefined) counts.set(chosen.key, (counts.get(chosen.key) ?? 0) + 1)
    }
    expect([...counts.keys()].toSorted()).toEqual(['k1', 'k11', 'k21', 'k31', 'k41'])
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })

  it('calls nodes independent only when nothing is shared', () => {
    expect(isIndependent(partyOf(1), [partyOf(2), partyOf(3)])).toBe(true)
    expect(isIndependent(partyOf(1), [partyOf(2), { ...partyOf(3), network: 'n1' }])).toBe(false)
  })
})
