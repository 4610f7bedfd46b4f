/** The lists of fitting hubs follow each reading as if they were made anew. Seeded. */
import { expect, it } from 'vitest'
import { createHubTable, type Fitting } from '#worker/summary/hub-table.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'
import {
  allHubs,
  canKeep,
  digest,
  modelOf,
  nodeIn,
  regionOf,
  summaryOf,
} from '#test/support/summary/summaries.ts'

const REGIONS = [
  regionOf('eu', { jurisdiction: 'eu', shards: 4 }),
  regionOf('asia', { shards: 4 }),
  regionOf('us', { jurisdiction: 'us', shards: 2 }),
]
const POLICIES = [
  compiled({ id: 'world', compute: { allow: ['WORLD'] }, storage: 'any' }),
  compiled({ id: 'eu', compute: { allow: ['EU'] }, storage: 'eu' }),
]

/** What a choice sees, whatever the order of the hubs. */
function contents({ warm, cold, unfit, unknown }: Fitting) {
  const lists = (all: Fitting['warm']) =>
    all.map(({ candidates }) =>
      candidates
        .map(({ hub, freeSlots }) => `${hub.name} ${hub.summary.atMs} ${freeSlots}`)
        .toSorted(),
    )
  const names = (hubs: readonly { readonly name: string }[]) =>
    hubs.map(({ name }) => name).toSorted()
  return { warm: lists(warm), cold: lists(cold), unfit: names(unfit), unknown: names(unknown) }
}

it('keeps the hubs that have not changed, and looks at the others again', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = createRandom(seed)
    const table = createHubTable(REGIONS, canKeep)
    for (let turn = 1; turn <= 30; turn += 1) {
      const changed = allHubs(REGIONS).filter(() => random.chance(0.3))
      if (random.chance(0.2)) table.forget(changed)
      else
        table.apply(
          changed.map((hub) => {
            const jurisdiction = REGIONS.find(({ name }) =>
              hub.startsWith(`${name}-`),
            )?.jurisdiction
            const node = nodeIn(random.chance(0.5) ? 'DE' : 'JP', {
              models: random.chance(0.5) ? [modelOf(1)] : [],
              loadable: random.chance(0.5) ? [digest(1)] : [],
              maxJobs: 1 + random.below(5),
            })
            const nodes = random.chance(0.8) ? [node] : []
            return summaryOf({ hub, jurisdiction: jurisdiction ?? 'any', nodes, atMs: turn })
          }),
        )
      const fresh = createHubTable(REGIONS, canKeep)
      fresh.apply([...table.all()].map(({ summary }) => summary))
      for (const policy of POLICIES) {
        // A list that nobody asked for during some readings is brought up to date as well.
        if (random.chance(0.4)) continue
        const job = {
          policy,
          allowed: policy.compute,
          work: { kind: 'model', digest: digest(1) },
        } as const
        expect(contents(table.fitting(job)), `seed ${seed}, turn ${turn}`).toEqual(
          contents(fresh.fitting(job)),
        )
      }
    }
  }
})
