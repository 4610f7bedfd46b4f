import { hexToBytes, sha256, toHex } from 'viem'
import { expect, it } from 'vitest'
import { DigestTable } from '#shared/audit/digest-table.ts'
import { createRandom } from '#test/support/random.ts'

it('behaves like a Map of digests through growth, changes and deletions', () => {
  const random = createRandom(7)
  const table = new DigestTable()
  const map = new Map<string, readonly [number, number]>()
  for (let step = 0; step < 12_000; step += 1) {
    const hex = sha256(toHex(random.below(4_000), { size: 4 }))
    const digest = hexToBytes(hex)
    if (random.below(4) === 0) {
      table.delete(digest)
      map.delete(hex)
    } else {
      const pair = [step, 1_800_000_000_000 + step] as const
      table.set(digest, pair)
      map.set(hex, pair)
    }
    expect(table.get(digest)).toEqual(map.get(hex))
  }
  expect(table.size).toBe(map.size)
  expect(new Map(table.entries())).toEqual(map)
})
