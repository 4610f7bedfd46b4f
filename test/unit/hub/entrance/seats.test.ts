/** A full hub chooses which nodes get a seat and which leave. */
import { describe, expect, it } from 'vitest'
import { LIMITS } from '#shared/base/limits.ts'
import {
  chooseSeat,
  chooseWaiting,
  type Seated,
  seatsKept,
  HUB_ENTERING,
} from '#worker/hub/entrance/seats.ts'

const seat = (nodeId: string, change: Partial<Seated> = {}): Seated => ({
  nodeId,
  block: nodeId,
  hasStanding: false,
  inFlight: 0,
  jobsDone: 0,
  isQuarantined: false,
  seatedForMs: 1_000,
  ...change,
})
const many = (count: number, of: (at: number) => Partial<Seated> = () => ({})) =>
  Array.from({ length: count }, (_, at) => seat(`n${at}`, of(at)))
const STRANGERS = LIMITS.hubNodes - seatsKept(LIMITS.hubNodes)
const newcomer = { nodeId: 'new', block: 'b', hasStanding: false }

describe('[J3] a seat', () => {
  it('is free until the hub is full, and the last are kept for nodes with standing', () => {
    const seats = many(STRANGERS, () => ({ hasStanding: true }))
    expect(chooseSeat(seats.slice(1), newcomer).kind).toBe('free')
    expect(chooseSeat(seats, newcomer).kind).toBe('full')
    expect(chooseSeat(seats, { ...newcomer, hasStanding: true }).kind).toBe('free')
    expect(chooseSeat(many(LIMITS.hubNodes), { ...newcomer, hasStanding: true }).kind).toBe(
      'displace',
    )
  })

  it('is taken from the block with the most seats, however few addresses it has', () => {
    const seats = many(STRANGERS, (at) => ({ block: at < 3 ? `own ${at}` : 'crowd' }))
    const choice = chooseSeat(seats, newcomer)
    expect(choice.kind === 'displace' && Number(choice.nodeId.slice(1))).toBeGreaterThan(2)
    expect(chooseSeat(seats, { ...newcomer, block: 'crowd' }).kind).toBe('full')
  })

  it('is given up first by nodes that get no work, then by idle ones, and never during a job', () => {
    const crowd = { block: 'crowd' }
    const busy = many(STRANGERS, () => ({ ...crowd, inFlight: 1 }))
    expect(chooseSeat(busy, newcomer).kind).toBe('full')
    const idle = busy.with(7, seat('n7', crowd))
    expect(chooseSeat(idle, newcomer)).toEqual({ kind: 'displace', nodeId: 'n7' })
    const useless = idle.with(9, seat('n9', { hasStanding: true, isQuarantined: true }))
    expect(chooseSeat(useless, newcomer)).toEqual({ kind: 'displace', nodeId: 'n9' })
  })

  it('of a node that has answered nothing for a minute goes to any newcomer, even if every block has one seat', () => {
    const seats = many(STRANGERS).with(5, seat('n5', { seatedForMs: 61_000 }))
    expect(chooseSeat(seats, newcomer)).toEqual({ kind: 'displace', nodeId: 'n5' })
    expect(chooseSeat(many(STRANGERS), newcomer).kind).toBe('full')
  })

  it('stays with the same node when it reconnects', () => {
    const seats = many(STRANGERS)
    expect(chooseSeat(seats, { ...newcomer, nodeId: 'n3' }).kind).toBe('free')
  })
})

describe('[J3] sockets that have not proved their identity', () => {
  const waiting = (count: number, block: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => ({ at, block: block(at) }))

  it('of one block make room for another block, the oldest first', () => {
    const crowd = waiting(HUB_ENTERING, () => 'crowd')
    expect(chooseWaiting(crowd.slice(1), 'crowd')).toBeUndefined()
    expect(chooseWaiting(crowd, 'crowd')).toBe('full')
    expect(chooseWaiting(crowd, 'b')).toMatchObject({ at: 0 })
  })
})
