/** A map with a bound. */
import { expect, it } from 'vitest'
import { BoundedMap } from '#shared/base/bounded-map.ts'

it('drops the entry that was set longest ago', () => {
  const map = new BoundedMap<string, number>(2)
  map.set('a', 1).set('b', 2)
  map.set('a', 3)
  map.set('c', 4)
  expect([...map]).toEqual([
    ['a', 3],
    ['c', 4],
  ])
})

it('keeps an entry that is set again', () => {
  const map = new BoundedMap<number, number>(3)
  for (let i = 0; i < 100; i += 1) {
    map.set(0, 0).set(i, i)
    expect(map.size).toBeLessThanOrEqual(3)
    expect(map.get(0)).toBe(0)
  }
})
