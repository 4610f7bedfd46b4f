/** Receipts of jobs that end together are made durable by one write. */
import { expect, test } from 'vitest'
import { createGroupCommit } from '#node-core/receipt-store.ts'

/** Writes that end when the test says so. */
function createWrites() {
  const groups: (readonly number[])[] = []
  const ends: PromiseWithResolvers<void>[] = []
  const due: (() => void)[] = []
  const commit = createGroupCommit<number>({
    write(items) {
      groups.push(items)
      const end = Promise.withResolvers<void>()
      ends.push(end)
      return end.promise
    },
    soon: (begin) => due.push(begin),
  })
  const tick = () => {
    for (const begin of due.splice(0)) begin()
  }
  return { groups, ends, commit, tick }
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve))

test('64 jobs that end in one tick cost one write, and 64 that end during it cost one more', async () => {
  const { groups, ends, commit, tick } = createWrites()
  const durable: number[] = []
  const put = (item: number) => void commit([item]).then(() => durable.push(item))
  for (let item = 0; item < 64; item += 1) put(item)
  expect(groups).toEqual([])
  tick()
  for (let item = 64; item < 128; item += 1) put(item)
  await settle()
  expect(groups.map(({ length }) => length)).toEqual([64])
  // No answer leaves before its receipt is durable.
  expect(durable).toEqual([])
  ends[0]?.resolve()
  await settle()
  expect(groups.map(({ length }) => length)).toEqual([64, 64])
  expect(durable).toEqual(groups[0])
  ends[1]?.resolve()
  await settle()
  expect(durable).toEqual(groups.flat())
})

test('a write that fails rejects its own items, and the next ones are written', async () => {
  const { groups, ends, commit, tick } = createWrites()
  const [first, second] = [commit([1]), commit([2, 3])]
  tick()
  const third = commit([4])
  ends[0]?.reject(new Error('The disk is full.'))
  await expect(first).rejects.toThrow('The disk is full.')
  await expect(second).rejects.toThrow('The disk is full.')
  expect(ends.length).toBe(2)
  ends[1]?.resolve()
  await third
  expect(groups).toEqual([[1, 2, 3], [4]])
  await settle()
  const fourth = commit([5])
  tick()
  expect(ends.length).toBe(3)
  ends[2]?.resolve()
  await fourth
})
