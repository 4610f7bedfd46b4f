/** Many hubs and isolates with old summaries: how many calls a job needs, and how evenly nodes spread. Seeded. */
import { describe, expect, it } from 'vitest'
import { decide } from '#shared/law/decide.ts'
import { countryBit } from '#shared/law/region.ts'
import { chooseHubs } from '#worker/summary/choose-hub.ts'
import { hubName, type HubRegion } from '#worker/summary/hub-region.ts'
import {
  createHubTable,
  type HubTable,
  type JobFacts,
  type WorkFacts,
} from '#worker/summary/hub-table.ts'
import { OPEN_FROM, placeNode, surplusNodes } from '#worker/summary/place-node.ts'
import type { SummarisedNode } from '#worker/summary/summarise.ts'
import { compiled } from '#test/support/hub/policies.ts'
import {
  allHubs,
  canKeep,
  digest,
  modelOf,
  factsIn,
  nodeIn,
  regionOf,
  summaryOf,
} from '#test/support/summary/summaries.ts'
import { createRandom, type Random } from '#test/support/random.ts'

const COUNTRIES_OF: Readonly<Record<string, readonly string[]>> = {
  'eu-west': ['DE', 'FR', 'NL', 'ES'],
  'eu-north': ['SE', 'FI', 'DK'],
  'us-east': ['US', 'CA'],
  asia: ['JP', 'SG', 'IN', 'AU'],
}
const REGIONS: readonly HubRegion[] = [
  regionOf('eu-west', { jurisdiction: 'eu', shards: 8 }),
  regionOf('eu-north', { jurisdiction: 'eu', shards: 4 }),
  regionOf('us-east', { jurisdiction: 'us', shards: 6 }),
  regionOf('asia', { shards: 6 }),
]
const POLICIES = [
  compiled({ id: 'world', compute: { allow: ['WORLD'] }, storage: 'any' }),
  compiled({ id: 'eu', compute: { allow: ['EU'] }, storage: 'eu' }),
  compiled({ id: 'se', compute: { allow: ['SE'] }, storage: 'any' }),
  compiled({
    id: 'us',
    compute: { allow: ['US'] },
    storage: 'us',
    nodeTrust: 'verified',
    vouchers: ['operator'],
  }),
  compiled({ id: 'far', compute: { allow: ['JP', 'AU'] }, storage: 'any', minEvidence: 'bounded' }),
]
const WORKS: readonly WorkFacts[] = [
  { kind: 'model', digest: digest(1) },
  { kind: 'text', digest: digest(2) },
  { kind: 'kernel', digest: digest(9) },
]

/** A node with the common model, perhaps the rare one, and kernels. */
function drawNode(random: Random, region: string): SummarisedNode {
  const countries = COUNTRIES_OF[region] ?? []
  const country = countries[random.below(countries.length)] ?? 'DE'
  const isVerified = random.chance(0.3)
  const own = factsIn(country, {
    evidence: random.chance(0.4) ? 'bounded' : 'observed',
    trust: isVerified ? 'verified' : 'public',
    voucher: isVerified ? 'operator' : null,
  })
  const models = [modelOf(1), ...(random.chance(0.1) ? [modelOf(2)] : [])]
  return nodeIn(country, {
    facts: own,
    models,
    loadable: [digest(2)],
    kernels: random.chance(0.5) ? 'any' : [],
    maxJobs: 4,
  })
}

function regionNameOf(hub: string): string {
  return hub.slice(0, hub.lastIndexOf('-'))
}

/** Gives an isolate the hubs' present summaries. */
function refresh(
  table: HubTable,
  hubs: ReadonlyMap<string, SummarisedNode[]>,
  atMs: number,
  capacity = 500,
) {
  table.apply(
    [...hubs].map(([hub, nodes]) => {
      const jurisdiction =
        REGIONS.find(({ name }) => name === regionNameOf(hub))?.jurisdiction ?? 'any'
      return summaryOf({ hub, nodes, atMs, jurisdiction, capacity })
    }),
  )
}

describe('many hubs', () => {
  it('answer 99 of 100 jobs in one call while nodes come and go and summaries are seconds old', () => {
    const random = createRandom(10)
    const uniform = () => random.below(2 ** 32) / 2 ** 32
    const hubs = new Map(
      allHubs(REGIONS).map((hub) => [
        hub,
        Array.from({ length: 24 }, () => drawNode(random, regionNameOf(hub))),
      ]),
    )
    const isolates = Array.from({ length: 10 }, () => createHubTable(REGIONS, canKeep))
    for (const table of isolates) refresh(table, hubs, 0)
    let [answered, first] = [0, 0]
    for (let second = 1; second <= 30; second += 1) {
      // Every second a hundredth of the nodes is replaced, and two isolates of ten hear of it.
      for (const [hub, nodes] of hubs)
        nodes.forEach((_, at) => {
          if (random.chance(0.01)) nodes[at] = drawNode(random, regionNameOf(hub))
        })
      isolates.forEach((table, at) => {
        if (at % 5 === second % 5) refresh(table, hubs, second)
      })
      for (let n = 0; n < 100; n += 1) {
        const own = POLICIES[random.below(POLICIES.length)] ?? POLICIES[0]
        const work = WORKS[random.below(WORKS.length)] ?? WORKS[0]
        const table = isolates[random.below(isolates.length)]
        if (own === undefined || work === undefined || table === undefined) continue
        const about = { policy: own, allowed: own.compute, work }
        let calls = 0
        for (const { hub, warmOnly } of chooseHubs(table, about, { random: uniform })) {
          calls += 1
          if (!takes(hubs.get(hub.name) ?? [], about, warmOnly)) continue
          answered += 1
          if (calls === 1) first += 1
          break
        }
      }
    }
    expect(answered).toBe(3_000)
    expect(first / answered).toBeGreaterThanOrEqual(0.99)
  })

  it('get nodes within a tenth of each other, though thousands join at once on old summaries', () => {
    const hubs = joinAll({ isolates: 40, nodes: 3_200, everySeconds: 3, seconds: 20, seed: 3 })
    const counts = [...hubs.values()].map((nodes) => nodes.length)
    expect(counts).toHaveLength(8)
    expect(counts.reduce((a, b) => a + b, 0)).toBe(3_200)
    for (const count of counts) expect(Math.abs(count - 400)).toBeLessThanOrEqual(40)
  })

  it('open one more hub of a region only when the others are full to four fifths', () => {
    for (const nodes of [300, 1_100, 1_900]) {
      const hubs = joinAll({ isolates: 5, nodes, everySeconds: 2, seconds: 60, seed: 8, open: 1 })
      const needed = Math.ceil(nodes / 500)
      expect(hubs.size).toBeGreaterThanOrEqual(needed)
      expect(hubs.size).toBeLessThanOrEqual(Math.ceil(nodes / (500 * OPEN_FROM)) + 1)
      for (const own of hubs.values()) expect(own.length).toBeLessThanOrEqual(500)
    }
  })

  it('are not opened by admissions that nobody uses', () => {
    const table = createHubTable(REGIONS, canKeep)
    table.apply([summaryOf({ hub: 'eu-west-0', jurisdiction: 'eu', nodes: [nodeIn('DE')] })])
    const named = Array.from({ length: 2_000 }, () =>
      placeNode(table, { country: countryBit('DE') }, { random: () => 0.5, capacity: 500 }),
    )
    const own = named.flat().filter(({ name }) => name.startsWith('eu-west-'))
    expect(new Set(own.map(({ name }) => name))).toEqual(new Set(['eu-west-0']))
  })

  it('lose all nodes of a hub that drains to the others of its region', () => {
    const hubs = joinAll({
      isolates: 5,
      nodes: 900,
      everySeconds: 2,
      seconds: 20,
      seed: 8,
      open: 3,
    })
    const left = drain(hubs, 'eu-west-1')
    expect(left.get('eu-west-1')).toBe(0)
    expect([...left.values()].reduce((a, b) => a + b, 0)).toBe(900)
  })
})

/** What a hub does with a job: the real decision over its real nodes. */
function takes(
  nodes: readonly SummarisedNode[],
  { policy, allowed, work }: JobFacts & { readonly work: WorkFacts },
  warmOnly: boolean,
) {
  const fit = nodes.filter(({ facts }) => decide(policy, allowed, facts) === 'allow')
  if (work.kind === 'kernel') return fit.some(({ kernels }) => kernels === 'any')
  if (fit.some(({ models }) => models.some((model) => model.digest === work.digest))) return true
  return !warmOnly && fit.some(({ loadable }) => loadable?.includes(work.digest) === true)
}

interface Joining {
  readonly isolates: number
  readonly nodes: number
  /** Age of an isolate's summaries at most. */
  readonly everySeconds: number
  readonly seconds: number
  readonly seed: number
  /** Hubs that are open from the start. @default all */
  readonly open?: number
}

/** Nodes join one region through many isolates; hubs send their surplus to others. */
function joinAll({ isolates, nodes, everySeconds, seconds, seed, open = 8 }: Joining) {
  const random = createRandom(seed)
  const uniform = () => random.below(2 ** 32) / 2 ** 32
  const [region] = REGIONS
  if (region === undefined) throw new Error('no region')
  const hubs = new Map<string, SummarisedNode[]>()
  for (let shard = 0; shard < open; shard += 1) hubs.set(hubName(region, shard).name, [])
  const tables = Array.from({ length: isolates }, () => createHubTable(REGIONS, canKeep))
  const place = () => {
    const table = tables[random.below(tables.length)] ?? tables[0]
    if (table === undefined) return
    const named = placeNode(
      table,
      { country: countryBit('DE') },
      { random: uniform, capacity: 500 },
    )
    const hub = named.find(({ name }) => (hubs.get(name)?.length ?? 0) < 500)?.name
    if (hub === undefined) return
    const own = hubs.get(hub) ?? []
    own.push(nodeIn('DE'))
    hubs.set(hub, own)
  }
  for (let second = 0; second < seconds + 30; second += 1) {
    tables.forEach((table, at) => {
      if (second === 0 || at % everySeconds === second % everySeconds) refresh(table, hubs, second)
    })
    const all = () => [...hubs.values()].reduce((sum, own) => sum + own.length, 0)
    if (second < seconds)
      for (let n = Math.ceil(nodes / seconds); n > 0 && all() < nodes; n -= 1) place()
    else for (let n = all(); n < nodes; n += 1) place()
    const view = { open: hubs.size, nodes: all() }
    for (const own of hubs.values()) {
      const leaving = surplusNodes({ nodes: own.length, isDraining: false }, view)
      own.splice(0, leaving)
      for (let n = 0; n < leaving; n += 1) place()
    }
  }
  return hubs
}

function drain(hubs: ReadonlyMap<string, SummarisedNode[]>, leaver: string): Map<string, number> {
  const random = createRandom(5)
  const counts = new Map([...hubs].map(([hub, nodes]) => [hub, nodes.length]))
  const table = createHubTable(REGIONS, canKeep)
  for (let second = 0; (counts.get(leaver) ?? 0) > 0 && second < 1_000; second += 1) {
    table.apply(
      [...counts].map(([hub, count]) =>
        summaryOf({
          hub,
          nodes: Array.from({ length: count }, () => nodeIn('DE')),
          atMs: 1_000 + second,
          jurisdiction: 'eu',
          isDraining: hub === leaver,
        }),
      ),
    )
    const own = counts.get(leaver) ?? 0
    const leaving = surplusNodes(
      { nodes: own, isDraining: true },
      { open: hubs.size - 1, nodes: 900 },
    )
    counts.set(leaver, own - leaving)
    for (let n = 0; n < leaving; n += 1) {
      const [to] = placeNode(
        table,
        { country: countryBit('DE') },
        { random: () => random.below(2 ** 32) / 2 ** 32, capacity: 500 },
      )
      if (to !== undefined) counts.set(to.name, (counts.get(to.name) ?? 0) + 1)
    }
  }
  return counts
}
