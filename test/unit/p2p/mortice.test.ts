/** The read/write lock that replaces mortice inside a Durable Object. */
import { expect, test } from 'vitest'
import mortice from '#p2p/shims/mortice.ts'

/** Lets every ready promise run. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

test('readers share the lock, a writer has it alone, and requests are granted in order', async () => {
  const lock = mortice()
  const order: string[] = []
  const take = async (name: string, asked: Promise<() => void>) => {
    const release = await asked
    order.push(name)
    return release
  }
  const one = take('reader 1', lock.readLock())
  const two = take('reader 2', lock.readLock())
  const writer = take('writer', lock.writeLock())
  const three = take('reader 3', lock.readLock())
  await settle()
  expect(order).toEqual(['reader 1', 'reader 2'])
  ;(await one)()
  await settle()
  expect(order).toHaveLength(2)
  ;(await two)()
  await settle()
  expect(order).toEqual(['reader 1', 'reader 2', 'writer'])
  ;(await writer)()
  ;(await three)()
  expect(order.at(-1)).toBe('reader 3')
})

test('a writer that gave up does not block others', async () => {
  const lock = mortice()
  const release = await lock.readLock()
  const abort = new AbortController()
  const writer = lock.writeLock({ signal: abort.signal }).catch((error: Error) => error.name)
  const reader = lock.readLock()
  abort.abort()
  expect(await writer).toBe('AbortError')
  ;(await reader)()
  release()
  await expect(lock.writeLock({ signal: abort.signal })).rejects.toThrow()
})

test('a release counts once, and two locks are independent', async () => {
  const [lock, other] = [mortice(), mortice()]
  const release = await lock.writeLock()
  ;(await other.writeLock())()
  release()
  const second = await lock.writeLock()
  release()
  let isTaken = false
  void lock.writeLock().then(() => {
    isTaken = true
  })
  await settle()
  expect(isTaken).toBe(false)
  second()
  await settle()
  expect(isTaken).toBe(true)
})
