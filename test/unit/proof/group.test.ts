import { describe, expect, it } from 'vitest'
import { createGroup, GROUP_WAIT_MS } from '#shared/proof/group.ts'
import { TREE_LEAVES } from '#shared/proof/tree-signature.ts'

/** A group whose clock and whose keeping are the test's. */
function createScene(running: number) {
  const scene = {
    running,
    groups: [] as number[][],
    timers: [] as { readonly ms: number; readonly call: () => void; isOn: boolean }[],
    keeping: Promise.resolve(),
  }
  const group = createGroup<number, string>({
    async take(items) {
      scene.groups.push([...items])
      await scene.keeping
      return items.map((item) => `kept ${item}`)
    },
    running: () => scene.running,
    after(ms, call) {
      const timer = { ms, call, isOn: true }
      scene.timers.push(timer)
      return () => void (timer.isOn = false)
    },
  })
  const elapse = () => {
    for (const timer of scene.timers.splice(0)) if (timer.isOn) timer.call()
  }
  return { scene, group, elapse }
}

describe('receipts that are ready at nearly the same time', () => {
  it('go at once when alone, without a timer', async () => {
    const { scene, group } = createScene(1)
    expect(await group.add(7)).toBe('kept 7')
    expect(scene.timers).toEqual([])
  })

  it('go together as soon as every running job has its receipt, each with its own result', async () => {
    const { scene, group, elapse } = createScene(3)
    const results = Promise.all([group.add(1), group.add(2), group.add(3)])
    expect(await results).toEqual(['kept 1', 'kept 2', 'kept 3'])
    expect(scene.groups).toEqual([[1, 2, 3]])
    elapse()
    expect(scene.groups).toHaveLength(1)
  })

  it('go after a few milliseconds when others are late; one timer serves the group', async () => {
    const { scene, group, elapse } = createScene(9)
    const results = [group.add(1), group.add(2)]
    expect(scene.groups).toEqual([])
    expect(scene.timers.map(({ ms }) => ms)).toEqual([GROUP_WAIT_MS])
    elapse()
    expect(await Promise.all(results)).toEqual(['kept 1', 'kept 2'])
  })

  it('go when the job that they waited for ends without a receipt', async () => {
    const { scene, group } = createScene(2)
    const result = group.add(1)
    scene.running = 1
    group.left()
    expect(await result).toBe('kept 1')
  })

  it('do not wait for jobs whose receipts are being kept', async () => {
    const { scene, group } = createScene(1)
    const { promise, resolve } = Promise.withResolvers<void>()
    scene.keeping = promise
    const first = group.add(1)
    scene.running = 2
    const second = group.add(2)
    expect(scene.groups).toEqual([[1], [2]])
    resolve()
    expect(await Promise.all([first, second])).toEqual(['kept 1', 'kept 2'])
  })

  it(`are at most ${TREE_LEAVES} under one signature`, async () => {
    const { scene, group, elapse } = createScene(1_000)
    const results = Array.from({ length: TREE_LEAVES + 1 }, (_, index) => group.add(index))
    elapse()
    await Promise.all(results)
    expect(scene.groups.map(({ length }) => length)).toEqual([TREE_LEAVES, 1])
  })

  it('all fail when they cannot be kept, and the next group is not harmed', async () => {
    const { scene, group } = createScene(2)
    scene.keeping = Promise.reject(new Error('disk full'))
    const results = await Promise.allSettled([group.add(1), group.add(2)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    scene.keeping = Promise.resolve()
    scene.running = 1
    expect(await group.add(3)).toBe('kept 3')
  })
})
