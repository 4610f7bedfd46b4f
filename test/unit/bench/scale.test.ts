/** The bookkeeping of the simulation of many hubs. Seeded. */
import { describe, expect, it } from 'vitest'
import { hubName } from '#worker/summary/hub-region.ts'
import type { HubSummary } from '#worker/summary/hub-summary.ts'
import { summarise, type SummarisedNode } from '#worker/summary/summarise.ts'
import { CountedHub } from '../../../bench/scale/counted-hub.ts'
import type { Piece } from '../../../bench/scale/record.ts'
import { simulateDay, type DayPlan } from '../../../bench/scale/simulation.ts'
import { createRegions, kindsOf, requestsOf, type NodeKind } from '../../../bench/scale/world.ts'
import { createRandom } from '#test/support/random.ts'

const [REGION] = createRegions(20)
if (REGION === undefined) throw new Error('no region')
const KINDS = REGION.countries.flatMap(kindsOf)
const PLAN: DayPlan = {
  seed: 3,
  hubs: 12,
  capacity: 40,
  pieces: 8,
  seconds: 4,
  settleSeconds: 3,
  isolates: 3,
  requests: 10,
}

function fillHub(seed: number, nodes: number) {
  const random = createRandom(seed)
  const hub = new CountedHub(hubName({ name: 'eu-west', jurisdiction: 'eu' }, 0), {
    region: 0,
    kinds: KINDS,
    capacity: 100,
  })
  const added = Array.from({ length: nodes }, () => random.below(KINDS.length))
  for (const kind of added) hub.add(kind)
  return { hub, added, uniform: () => random.below(2 ** 32) / 2 ** 32 }
}

function asNode({ facts, models, loadable, kernels, maxJobs }: NodeKind): SummarisedNode {
  const offered = models.map((digest) => ({ digest, provider: 'webgpu' as const }))
  return { facts, models: offered, loadable, kernels, maxJobs, inFlight: 0 }
}

/** Groups, countries and offers have no order. */
function unordered({ groups, ...rest }: HubSummary) {
  const sorted = groups.map(({ countries, offers, ...group }) => ({
    ...group,
    countries: [...countries].toSorted(([a], [b]) => a - b),
    offers: offers.toSorted((a, b) => a.key - b.key),
  }))
  return { ...rest, groups: sorted.toSorted((a, b) => a.trust.localeCompare(b.trust)) }
}

describe('a hub of counted nodes', () => {
  it('has the summary that its nodes would have one by one', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { hub, added } = fillHub(seed, 60)
      const own = hub.summary(5)
      const nodes = added.flatMap((kind) => KINDS[kind] ?? []).map(asNode)
      const { hub: name, jurisdiction, atMs, isDraining, jobs, peerId, hubKey } = own
      const about = { hub: name, jurisdiction, atMs, isDraining, jobs, peerId, hubKey }
      expect(unordered(own)).toEqual(unordered(summarise({ ...about, capacity: 100 }, nodes)))
    }
  })

  it('has a slot less for each job until the job has ended, and never takes one that no node may have', () => {
    const { hub, uniform } = fillHub(4, 60)
    const before = hub.summary(0).slots.free
    const requests = requestsOf(REGION, KINDS)
    const taken = requests.map((request) => ({
      request,
      job: hub.take(request, { warmOnly: true, random: uniform }),
    }))
    for (const { request, job } of taken)
      if (job !== undefined) expect(request.warm).toContain(job.kind)
    const jobs = taken.flatMap(({ job }) => job ?? [])
    expect(jobs.length).toBeGreaterThan(0)
    expect(hub.summary(0).slots.free).toBe(before - jobs.length)
    for (const { kind } of jobs) hub.giveBack(kind)
    expect(hub.summary(0).slots.free).toBe(before)
  })

  it('gives its nodes back one by one, until it is empty', () => {
    const { hub, added, uniform } = fillHub(9, 60)
    const removed = added.map(() => hub.removeOne(uniform) ?? -1)
    expect(removed.toSorted((a, b) => a - b)).toEqual(added.toSorted((a, b) => a - b))
    expect(hub.removeOne(uniform)).toBeUndefined()
    expect(hub.nodes).toBe(0)
  })
})

describe('a simulated day', () => {
  it('is the same again with the same seed, and its counts add up', async () => {
    const day = await simulateDay(PLAN)
    expect(await simulateDay(PLAN)).toEqual(day)
    expect(day.pieces).toHaveLength(PLAN.pieces)
    for (const piece of day.pieces) {
      expect(piece.answered).toBeLessThanOrEqual(piece.requests)
      expect(piece.answeredByFirst).toBeLessThanOrEqual(piece.answered)
      expect(piece.hubCalls).toBeGreaterThanOrEqual(piece.answered)
      expect(piece.publications).toBeGreaterThan(0)
      expect(piece.readings).toBeGreaterThan(0)
      expect(piece.nodes).toBeLessThanOrEqual(piece.hubs * PLAN.capacity)
    }
    expect(new Set(day.pieces.map(({ requests }) => requests)).size).toBeGreaterThan(1)
    const sum = (key: keyof Piece) => day.pieces.reduce((all, piece) => all + piece[key], 0)
    // Hubs this small refuse now and then, and each refusal is one more call.
    expect(sum('answeredByFirst')).toBeLessThan(sum('answered'))
    expect(sum('hubCalls')).toBeGreaterThan(sum('requests'))
    expect(day.firstWorkMs.every((ms) => ms >= 0)).toBe(true)
  })
})
