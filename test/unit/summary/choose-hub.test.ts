/** The choice of hubs from summaries: who is asked first, who never, and in how many calls. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '#shared/law/decide.ts'
import { effectiveCompute } from '#shared/law/compile-policy.ts'
import { COUNTRIES, listCountries } from '#shared/law/region.ts'
import type { Work } from '#shared/job/job.ts'
import { chooseHubs, MOST_HUB_CALLS } from '#worker/summary/choose-hub.ts'
import { orderRegions } from '#worker/summary/hub-region.ts'
import { createHubTable, type JobFacts, type WorkFacts } from '#worker/summary/hub-table.ts'
import type { SummarisedNode } from '#worker/summary/summarise.ts'
import { compiled, facts, policy } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'
import {
  canKeep,
  digest,
  modelOf,
  nodeIn,
  regionOf,
  summaryOf,
} from '#test/support/summary/summaries.ts'

const MODEL: Work = { kind: 'model', model: 'm', digest: digest(1), inputs: [] }
const KERNEL: WorkFacts = { kind: 'kernel', digest: digest(9) }
const warmIn = (country: string, more: Partial<SummarisedNode> = {}) =>
  nodeIn(country, { models: [modelOf(1)], kernels: 'any', ...more })

function job(allow: string[], more: Partial<JobFacts> = {}): JobFacts {
  const own = compiled({ compute: { allow }, storage: 'any' })
  return { policy: own, allowed: own.compute, work: MODEL, ...more }
}

type Hubs = Readonly<Record<string, readonly SummarisedNode[]>>

function tableOf(hubs: Hubs, names: readonly string[] = Object.keys(hubs)) {
  const regions = names.map((name) =>
    regionOf(name, { jurisdiction: name.startsWith('eu') ? 'eu' : 'any' }),
  )
  const table = createHubTable(regions, canKeep)
  table.apply(
    Object.entries(hubs).map(([name, nodes]) =>
      summaryOf({ hub: `${name}-0`, nodes, jurisdiction: name.startsWith('eu') ? 'eu' : 'any' }),
    ),
  )
  return table
}

const turns = (table: ReturnType<typeof tableOf>, about: JobFacts, random = () => 0) =>
  [...chooseHubs(table, about, { random })].map(
    ({ hub, warmOnly }) => hub.name + (warmOnly ? ' warm' : ''),
  )

describe('the choice of hubs', () => {
  it('asks the nearest hub that has the model loaded on an allowed node', () => {
    const table = tableOf({
      far: [warmIn('FR')],
      near: [warmIn('US'), nodeIn('DE')],
      mid: [warmIn('DE')],
    })
    expect(turns(table, job(['DE']))[0]).toBe('mid-0 warm')
    expect(turns(table, job(['EU']))[0]).toBe('far-0 warm')
  })

  it('prefers a farther hub with the model loaded to a near one that would load it', () => {
    const table = tableOf({ near: [nodeIn('DE', { loadable: [digest(1)] })], far: [warmIn('DE')] })
    expect(turns(table, job(['DE']))).toEqual(['far-0 warm', 'near-0', 'far-0'])
  })

  it('passes over a full hub, and asks it before one that would load the model', () => {
    const busy = [warmIn('DE', { inFlight: 2 })]
    const table = tableOf({
      busy,
      cold: [nodeIn('DE', { loadable: [digest(1)] })],
      free: [warmIn('DE')],
    })
    expect(turns(table, job(['DE'])).slice(0, 3)).toEqual(['free-0 warm', 'busy-0 warm', 'cold-0'])
  })

  it('asks a hub without a summary, and only two of those that show no node for the job', () => {
    const none = { a: [nodeIn('US')], b: [nodeIn('US')], c: [nodeIn('US')] }
    const table = tableOf(none, ['a', 'b', 'c', 'new'])
    expect(turns(table, job(['DE'], { work: KERNEL }))).toEqual(['new-0', 'a-0', 'b-0'])
    expect(turns(table, job(['DE']))).toEqual(['new-0 warm', 'new-0', 'a-0', 'b-0'])
  })

  it('counts as near what is near to the caller, where that is known', () => {
    const regions = [
      regionOf('here', { anchor: { lat: 50, lon: 8 } }),
      regionOf('nowhere'),
      regionOf('there', { anchor: { lat: 39, lon: -77 } }),
    ]
    expect(orderRegions(regions, { lat: 40, lon: -75 })).toEqual([2, 0, 1])
    expect(orderRegions(regions, { lat: 1, lon: 103 })).toEqual([0, 2, 1])
    expect(orderRegions(regions, null)).toEqual([0, 1, 2])
    const table = createHubTable(regions, canKeep)
    table.apply(['here-0', 'there-0'].map((hub) => summaryOf({ hub, nodes: [warmIn('DE')] })))
    const order = orderRegions(regions, { lat: 40, lon: -75 })
    const first = chooseHubs(table, job(['DE']), { random: () => 0, order }).next().value
    expect(first?.hub.name).toBe('there-0')
  })

  it('asks the only hub outright', () => {
    expect(turns(tableOf({ one: [warmIn('DE')] }), job(['DE']))).toEqual(['one-0'])
    expect(turns(tableOf({}, ['one']), job(['DE']))).toEqual(['one-0'])
  })

  it('spreads the jobs of isolates with the same summaries by the free slots of hubs', () => {
    const nodes = (count: number) => Array.from({ length: count }, () => warmIn('DE'))
    const random = uniform(7)
    const regions = [regionOf('hub', { shards: 3 })]
    const summaries = [10, 10, 20].map((n, shard) =>
      summaryOf({ hub: `hub-${shard}`, nodes: nodes(n) }),
    )
    const counts = [0, 0, 0]
    for (let isolate = 0; isolate < 2_000; isolate += 1) {
      const table = createHubTable(regions, canKeep)
      table.apply(summaries)
      const turn = chooseHubs(table, job(['DE']), { random }).next().value
      const shard = Number(turn?.hub.name.at(-1))
      counts[shard] = (counts[shard] ?? 0) + 1
    }
    const [a = 0, b = 0, c = 0] = counts
    expect(Math.min(a, b)).toBeGreaterThan(400)
    expect(c).toBeGreaterThan(Math.max(a, b))
    expect(c).toBeLessThan(1_200)
  })

  it('counts its own jobs against the free slots that a summary showed', () => {
    const table = tableOf({ near: [warmIn('DE'), warmIn('DE')], far: [warmIn('DE')] })
    const first = () => chooseHubs(table, job(['DE']), { random: () => 0 }).next().value?.hub.name
    expect(Array.from({ length: 6 }, first)).toEqual([
      ...Array.from({ length: 4 }, () => 'near-0'),
      ...Array.from({ length: 2 }, () => 'far-0'),
    ])
    table.apply([summaryOf({ hub: 'near-0', nodes: [warmIn('DE')], atMs: 2 })])
    expect(first()).toBe('near-0')
  })
})

const shard = fc.array(
  fc.record({
    facts,
    models: fc.subarray([modelOf(1), modelOf(2)]),
    loadable: fc.subarray([digest(1), digest(3)]),
    kernels: fc.constantFrom('any' as const, [digest(9)], []),
    maxJobs: fc.integer({ min: 1, max: 4 }),
    inFlight: fc.nat(4),
  }),
  { maxLength: 4 },
)
const network = fc.record({
  policy,
  storage: fc.constantFrom('any' as const, 'eu' as const, 'us' as const),
  narrowTo: fc.option(fc.constantFrom(['DE'], ['DE', 'FR', 'US']), { nil: undefined }),
  regions: fc.array(
    fc.record({
      jurisdiction: fc.constantFrom('any' as const, 'eu' as const, 'us' as const),
      shards: fc.array(shard, { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  work: fc.constantFrom<WorkFacts>(MODEL, KERNEL, { kind: 'library', digest: digest(5) }),
  seed: fc.integer(),
})

describe('the choice of hubs, over random networks and policies', () => {
  const open = ({ regions: drawn, policy: own, storage, narrowTo, work }: Drawn) => {
    const regions = drawn.map(({ jurisdiction }, at) =>
      regionOf(`r${at}`, { jurisdiction, shards: 4 }),
    )
    const table = createHubTable(regions, canKeep)
    const hubs = drawn.flatMap(({ jurisdiction, shards }, at) =>
      shards.map((nodes, n) => ({ hub: `r${at}-${n}`, jurisdiction, nodes })),
    )
    table.apply(hubs.map(summaryOf))
    const allowed = effectiveCompute(own, narrowTo)
    return { table, hubs, about: { policy: { ...own, storage }, allowed, work } }
  }
  type Drawn = typeof network extends fc.Arbitrary<infer Network> ? Network : never

  it('names no hub that may not keep the records, none twice for the same, and few', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const { table, about } = open(drawn)
        const all = [...chooseHubs(table, about, { random: uniform(drawn.seed) })]
        expect(all.length).toBeLessThanOrEqual(MOST_HUB_CALLS)
        expect(new Set(all.map(({ hub, warmOnly }) => hub.name + warmOnly)).size).toBe(all.length)
        for (const { hub } of all) {
          expect(canKeep(about.policy.storage, hub.jurisdiction)).toBe(true)
          expect(
            table.regions.some(
              ({ name, jurisdiction }) =>
                hub.name.startsWith(`${name}-`) && jurisdiction === hub.jurisdiction,
            ),
          ).toBe(true)
        }
      }),
    )
  })

  it('asks no hub as fitting whose nodes are all outside of the allowed countries', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const { table, hubs, about } = open(drawn)
        const { warm, cold } = table.fitting(about)
        for (const { candidates } of [...warm, ...cold])
          for (const { hub } of candidates) {
            const own = hubs.find((each) => each.hub === hub.name)?.nodes ?? []
            const countries = listCountries(about.allowed)
            expect(
              own.some((node) => countries.includes(COUNTRIES[node.facts.country] ?? '')),
            ).toBe(true)
          }
      }),
    )
  })

  it('misses no hub with a node that the decision allows and that can run the work', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const { table, hubs, about } = open(drawn)
        const warm = table
          .fitting(about)
          .warm.flatMap(({ candidates }) => candidates.map(({ hub }) => hub.name))
        for (const { hub, nodes, jurisdiction } of hubs) {
          if (!canKeep(about.policy.storage, jurisdiction)) continue
          const can = nodes.some(
            (node) =>
              decide(about.policy, about.allowed, node.facts) === 'allow' &&
              canRun(node, about.work),
          )
          if (can) expect(warm).toContain(hub)
        }
      }),
    )
  })
})

function canRun(node: SummarisedNode, { kind, digest: wanted }: WorkFacts): boolean {
  if (kind === 'library') return node.kernels === 'any'
  if (kind === 'kernel') return node.kernels === 'any' || node.kernels.includes(wanted)
  return node.models.some((model) => model.digest === wanted)
}

function uniform(seed: number): () => number {
  const random = createRandom(seed)
  return () => random.below(2 ** 32) / 2 ** 32
}
