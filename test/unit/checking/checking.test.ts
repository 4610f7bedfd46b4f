import { describe, expect, it } from 'vitest'
import type { CheckedNode } from '#worker/checking/checked-node.ts'
import { Checking, ENTRY_CHECK_MS } from '#worker/checking/checking.ts'
import { REPORTER_MEMORY_MS } from '#worker/checking/reporters.ts'
import { canServe, ENTRY_CHECKS } from '#worker/checking/standing.ts'
import { judge, type Vote } from '#worker/checking/verdict.ts'

const HOUR_MS = 3_600_000

function open() {
  const clock = { nowMs: 1 }
  const deps = { nowMs: () => clock.nowMs, random: () => 0.999 }
  const checking = new Checking(deps)
  const join = (name: string, { isVouched = false, reporter = `r ${name}` } = {}) =>
    checking.join({ key: name, kind: 'embed', reporter, network: `n ${name}`, isVouched })
  const prove = (node: CheckedNode) => {
    while (!canServe(node.standing)) checking.agree(node)
    return node
  }
  /** Answers of nodes to one job; the last of them are all that can be asked. */
  const check = (...answers: [CheckedNode, number][]) => {
    const votes: Vote<CheckedNode>[] = answers.map(([node, claim]) => ({ node, claim }))
    return checking.apply(votes, judge(votes, true), () => true)
  }
  return { clock, deps, checking, join, prove, check }
}

describe('checking', () => {
  it('gives an honest newcomer its standing within half a minute of checks', () => {
    const { clock, checking, join } = open()
    const node = join('a')
    const startedMs = clock.nowMs
    while (!canServe(node.standing)) {
      if (checking.isEntryDue(node)) checking.agree(node)
      clock.nowMs += 100
      if (clock.nowMs > startedMs + HOUR_MS) break
    }
    expect(clock.nowMs - startedMs).toBeLessThanOrEqual(ENTRY_CHECKS * ENTRY_CHECK_MS)
  })

  it('[CH2] makes the longer entry of a convicted reporter slower as well', () => {
    const { clock, checking, join, prove } = open()
    checking.lose(prove(join('l')), true)
    const again = join('again', { reporter: 'r l' })
    expect(checking.isEntryDue(again)).toBe(true)
    clock.nowMs += ENTRY_CHECK_MS
    expect(checking.isEntryDue(again)).toBe(false)
    clock.nowMs += ENTRY_CHECK_MS
    expect(checking.isEntryDue(again)).toBe(true)
  })

  it('[CH3] does not count the agreement of newcomers with each other where nodes have standing', () => {
    const { join, check } = open()
    join('v', { isVouched: true })
    const [a, b] = [join('a'), join('b')]
    for (let turn = 0; turn < 50; turn += 1) check([a, 0], [b, 0])
    expect(canServe(a.standing)).toBe(false)
  })

  it('lets the first newcomers of a kind prove themselves by agreeing', () => {
    const { join, check } = open()
    const [a, b] = [join('a'), join('b')]
    for (let turn = 0; turn < ENTRY_CHECKS; turn += 1) check([a, 0], [b, 0])
    expect(canServe(a.standing) && canServe(b.standing)).toBe(true)
  })

  it('[CH3] counts a newcomer that agrees for the newcomer, not for the node with standing', () => {
    const { join, check } = open()
    const [vouched, newcomer] = [join('v', { isVouched: true }), join('a')]
    check([vouched, 0], [newcomer, 0])
    expect([vouched.standing.passed, newcomer.standing.passed]).toEqual([0, 1])
  })

  it('voids the held pay of a convicted node and pays the honest ones beside it', () => {
    const { clock, checking, join, prove, check } = open()
    const [liar, ...honest] = ['l', 'a', 'b', 'c'].map((name) => prove(join(name)))
    if (liar === undefined) throw new Error('no liar')
    checking.hold(liar, 500)
    for (const node of honest) checking.hold(node, 500)
    const [a, b, c] = honest
    if (a === undefined || b === undefined || c === undefined) throw new Error('no honest nodes')
    const effects = check([liar, 1], [a, 0], [b, 0], [c, 0])
    const convicted = effects.filter(({ kind }) => kind === 'convicted')
    expect(convicted).toMatchObject([{ node: liar, voidedMicroUsd: 500 }])
    clock.nowMs += HOUR_MS
    let paid = 0
    for (let turn = 0; turn < 60; turn += 1)
      for (const { node, released } of check([a, 0], [b, 0]))
        if (node === a) paid += released?.microUsd ?? 0
    expect(paid).toBe(500)
  })

  it('convicts a node once, however many verdicts come late', () => {
    const { checking, join, prove } = open()
    const liar = prove(join('l'))
    expect(checking.lose(liar, true).kind).toBe('convicted')
    expect(checking.lose(liar, true).kind).toBe('ignored')
    expect(checking.agree(liar).kind).toBe('ignored')
    expect(join('next', { reporter: 'r l' }).standing.needed).toBe(2 * ENTRY_CHECKS)
  })

  it('costs nobody standing or pay when a dispute is inconclusive, and raises the rate of both', () => {
    const { checking, join, prove, check } = open()
    const [a, b] = [prove(join('a')), prove(join('b'))]
    checking.hold(a, 500)
    check([a, 0], [b, 1])
    expect([canServe(a.standing), canServe(b.standing), a.held.microUsd]).toEqual([true, true, 500])
    expect(Math.min(a.standing.suspicion, b.standing.suspicion)).toBeGreaterThan(0)
  })

  it('[CH2] suspects the other nodes of a convicted reporter', () => {
    const { checking, join, prove } = open()
    const [liar, sibling] = ['l', 's'].map((name) => prove(join(name, { reporter: 'one' })))
    if (liar === undefined || sibling === undefined) throw new Error('no nodes')
    checking.lose(liar, true)
    checking.isChecked(sibling, 10)
    expect(sibling.standing.suspicion).toBeGreaterThan(0)
  })

  it('keeps a convicted key out for a month, and remembers its reporter as long', () => {
    const { clock, checking, join, prove } = open()
    const liar = prove(join('l'))
    checking.lose(liar, true)
    clock.nowMs += REPORTER_MEMORY_MS
    expect(join('l')).toBe(liar)
    expect(join('m', { reporter: 'r l' }).standing.needed).toBe(2 * ENTRY_CHECKS)
    clock.nowMs += 1
    expect(join('l')).not.toBe(liar)
    expect(join('l').standing.needed).toBe(ENTRY_CHECKS)
  })

  it('[CH7] checks more of a kind after a conviction, until the allowance is spent', () => {
    const { checking, join, prove } = open()
    const honest = prove(join('a'))
    for (let check = 0; check < 500; check += 1) checking.agree(honest)
    const isAlarmed = () => checking.rows().kinds[0]?.alarmChecks ?? 0
    expect(isAlarmed()).toBe(0)
    checking.lose(prove(join('l')), true)
    const allowed = isAlarmed()
    expect(allowed).toBeGreaterThan(50)
    for (let liar = 0; liar < 50; liar += 1) checking.lose(prove(join(`l${liar}`)), true)
    // Without jobs nothing more is saved up: an attack cannot buy checks without end.
    expect(isAlarmed()).toBeLessThanOrEqual(1_000)
  })

  it('is the same after its rows were stored and read', () => {
    const { clock, deps, checking, join, prove } = open()
    const node = prove(join('a'))
    checking.hold(node, 70)
    checking.lose(prove(join('l')), true)
    checking.isChecked(node, 10)
    join('new')
    const stored: unknown = JSON.parse(JSON.stringify(checking.rows()))
    const again = new Checking(deps, checking.rows())
    expect(JSON.parse(JSON.stringify(again.rows()))).toEqual(stored)
    clock.nowMs += 1_000
    const known = { key: 'a', kind: 'embed', reporter: 'r a', network: 'n a', isVouched: false }
    expect(again.join(known).held.microUsd).toBe(70)
    expect(again.join({ ...known, key: 'l' }).standing.convictedAtMs).toBe(1)
  })

  it('lets a flood of new keys displace no node with standing', () => {
    const { checking, join, prove } = open()
    const node = prove(join('a'))
    for (let key = 0; key < 60_000; key += 1) join(`flood ${key}`, { reporter: 'flood' })
    expect(join('a')).toBe(node)
    expect(checking.rows().nodes.length).toBeLessThanOrEqual(50_001)
  })
})
