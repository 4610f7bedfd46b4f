/** Long lists are cut for SQLite, which binds at most 2 MB. */
import { expect, it } from 'vitest'
import { createRandom } from '#test/support/random.ts'
import { jsonLists } from '#worker/tenant/log/json-lists.ts'

const MOST = 500_000

it('has every value once and in order, in as few lists as fit', () => {
  const random = createRandom(17)
  for (let round = 0; round < 20; round += 1) {
    const values = Array.from({ length: random.below(40) }, (_, i) => [
      i,
      'x'.repeat(random.chance(0.1) ? MOST + 1 : random.below(90_000)),
    ])
    const lists = [...jsonLists(values)]
    const parsed = lists.map(({ json }) => JSON.parse(json) as unknown[])
    expect(parsed.flat()).toEqual(values)
    let from = 0
    for (const [i, list] of lists.entries()) {
      const [own = [], next] = [parsed[i], parsed[i + 1]]
      expect(list.from).toBe(from)
      from += own.length
      if (own.length > 1) expect(list.json.length).toBeLessThanOrEqual(MOST + own.length + 2)
      if (next !== undefined)
        expect(list.json.length + JSON.stringify(next[0]).length).toBeGreaterThan(MOST)
    }
  }
})
