/** A hub that drains or has too many nodes sends idle ones away, a few at a time, and only if another has seats. */
import { describe, expect, it } from 'vitest'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { moveNodes } from '#worker/hub/entrance/move-nodes.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'

const NOW_MS = 1_000_000

interface Node {
  readonly inFlight?: number
  readonly heardMs?: number
}

function open(nodes: readonly Node[], isDraining = false) {
  const closed: number[] = []
  const members = nodes.map(({ inFlight = 0, heardMs = 0 }, at) => ({
    heardMs,
    at,
    link: { inFlight: () => inFlight, close: async () => void closed.push(at) },
  }))
  const directory = {
    get size() {
      return members.length
    },
    members: () => [...members],
    heardMs: (member: { readonly heardMs: number }) => member.heardMs,
    remove: (member: Member) => void members.splice(members.indexOf(member as never), 1),
  } as unknown as Directory
  const deps = { directory, isDraining, now: () => NOW_MS, log: silentLog }
  return {
    closed,
    members,
    move: (region: Omit<Parameters<typeof moveNodes>[1], 'marks' | 'marksRead'>) =>
      moveNodes(deps, { ...region, marks: [], marksRead: { epoch: '', at: 0 } }),
  }
}

const many = (count: number, node: Node = {}) => Array.from({ length: count }, () => node)

describe('a hub', () => {
  it('with more nodes than the mean of its region sends the surplus away, at most a twentieth at once', () => {
    const { move, members } = open(many(100))
    expect(move({ open: 2, nodes: 120, hasSeats: true })).toBe(5)
    expect(members).toHaveLength(95)
    expect(open(many(62)).move({ open: 2, nodes: 120, hasSeats: true })).toBe(0)
    expect(open(many(64)).move({ open: 2, nodes: 120, hasSeats: true })).toBe(1)
  })

  it('keeps all nodes while no other hub has a seat', () => {
    expect(open(many(100)).move({ open: 2, nodes: 120, hasSeats: false })).toBe(0)
    expect(open(many(100), true).move({ open: 1, nodes: 100, hasSeats: false })).toBe(0)
  })

  it('sends away no node that has a job or may hold the state of a session', () => {
    const recent = NOW_MS - LIMITS.sessionIdleMs + 1
    const { move, closed } = open([
      ...many(50, { inFlight: 1 }),
      ...many(49, { heardMs: recent }),
      { heardMs: 5 },
    ])
    expect(move({ open: 2, nodes: 120, hasSeats: true })).toBe(1)
    expect(closed).toEqual([99])
  })

  it('that drains sends away all nodes that are not at work, some at each publication', () => {
    const { move, members } = open([...many(30), ...many(2, { inFlight: 1 })], true)
    for (let turn = 0; turn < 40; turn += 1) move({ open: 1, nodes: 30, hasSeats: true })
    expect(members).toHaveLength(2)
  })
})
