/** Jobs that wait for a slot: a free slot wakes one job that can use it, in turn by tenant, and none is forgotten. */
import { describe, expect, it } from 'vitest'
import { Canceller } from '#p2p/stream/cancellation.ts'
import { errorCode } from '#shared/base/errors.ts'
import { TenantId } from '#shared/base/ids.ts'
import { Capacity } from '#worker/hub/choice/capacity.ts'
import { createRandom } from '#test/support/random.ts'

const tenantOf = (name: string) => TenantId.parse(name)
const settle = async () => {
  for (let turn = 0; turn < 2_000; turn += 1) await Promise.resolve()
}

/** Slots of several kinds, and jobs that each need one kind. Jobs choose again as the hub's do. */
function createQueue() {
  const capacity = new Capacity(10_000)
  const free = new Map<string, number>()
  const served: string[] = []
  const waiting = new Map<string, { kind: string; canceller: Canceller }>()
  let choices = 0
  const tryTake = (kind: string) => {
    choices += 1
    const left = free.get(kind) ?? 0
    if (left > 0) free.set(kind, left - 1)
    return left > 0
  }
  const ask = async (name: string, tenant: string, kind: string) => {
    const canceller = new Canceller()
    waiting.set(name, { kind, canceller })
    try {
      while (!tryTake(kind)) await capacity.wait(tenantOf(tenant), canceller)
      served.push(name)
    } catch {
      capacity.passOn(canceller)
    } finally {
      waiting.delete(name)
    }
  }
  return {
    capacity,
    served,
    waiting,
    free,
    ask: (name: string, tenant = 'acme', kind = 'any') => void ask(name, tenant, kind),
    release(kind = 'any') {
      free.set(kind, (free.get(kind) ?? 0) + 1)
      capacity.notify()
    },
    choices: () => choices,
  }
}

describe('waiting for a slot', () => {
  it('costs one choice for each free slot, however many jobs wait', async () => {
    const queue = createQueue()
    for (let job = 0; job < 200; job += 1) queue.ask(`${job}`)
    await settle()
    const before = queue.choices()
    for (let slot = 0; slot < 50; slot += 1) {
      queue.release()
      await settle()
    }
    expect(queue.served).toEqual(Array.from({ length: 50 }, (_, job) => `${job}`))
    expect(queue.choices() - before).toBe(50)
  })

  it('passes a slot on until a job can use it, and keeps the turns of the others', async () => {
    const queue = createQueue()
    for (const job of ['a', 'b', 'c', 'd']) queue.ask(job, 'acme', job === 'c' ? 'rare' : 'common')
    await settle()
    queue.release('rare')
    await settle()
    expect(queue.served).toEqual(['c'])
    for (let slot = 0; slot < 3; slot += 1) queue.release('common')
    await settle()
    expect(queue.served).toEqual(['c', 'a', 'b', 'd'])
    expect(queue.capacity.size).toBe(0)
  })

  it('gives tenants turns, and one that comes later starts at the present turn', async () => {
    const queue = createQueue()
    for (let job = 1; job <= 4; job += 1) queue.ask(`big${job}`, 'big')
    await settle()
    for (let slot = 0; slot < 2; slot += 1) queue.release()
    await settle()
    for (let job = 1; job <= 2; job += 1) queue.ask(`small${job}`, 'small')
    for (let slot = 0; slot < 4; slot += 1) queue.release()
    await settle()
    expect(queue.served).toEqual(['big1', 'big2', 'small1', 'big3', 'small2', 'big4'])
  })

  it('wakes the next when the woken job ends by an error instead', async () => {
    const capacity = new Capacity(100)
    const [first, second] = [new Canceller(), new Canceller()]
    const ended = capacity.wait(tenantOf('acme'), first).then(() => capacity.passOn(first))
    let isWoken = false
    void capacity.wait(tenantOf('acme'), second).then(() => (isWoken = true))
    capacity.notify()
    await ended
    await settle()
    expect(isWoken).toBe(true)
  })

  it('ends with the reason of a job that is cancelled, which then counts no more', async () => {
    const capacity = new Capacity(4)
    const job = new Canceller()
    const waiting = capacity.wait(tenantOf('acme'), job)
    expect(capacity.size).toBe(1)
    const reason = new Error('gone')
    job.cancel(reason)
    await expect(waiting).rejects.toBe(reason)
    await expect(capacity.wait(tenantOf('acme'), job)).rejects.toBe(reason)
    expect(capacity.size).toBe(0)
  })

  it("refuses a job over its tenant's share of the queue", async () => {
    const capacity = new Capacity(4)
    const codes: unknown[] = []
    for (let job = 0; job < 5; job += 1)
      capacity
        .wait(tenantOf('acme'), new Canceller())
        .catch((error: unknown) => codes.push(errorCode(error)))
    await settle()
    expect(capacity.size).toBe(3)
    expect(codes).toEqual(['no_capacity', 'no_capacity'])
  })

  it.each([1, 2, 3, 4, 5])(
    'leaves no slot free that a waiting job could use (seed %i)',
    async (seed) => {
      const random = createRandom(seed)
      const queue = createQueue()
      const kinds = ['x', 'y', 'z']
      const kindOf = () => kinds[random.below(kinds.length)] ?? 'x'
      for (let step = 0; step < 600; step += 1) {
        const what = random.below(10)
        if (what < 4) queue.ask(`${step}`, `tenant-${random.below(4)}`, kindOf())
        else if (what < 8) queue.release(kindOf())
        else if (what === 8) queue.capacity.notifyAll()
        else {
          const [name] = [...queue.waiting.keys()].slice(random.below(queue.waiting.size + 1))
          if (name !== undefined) queue.waiting.get(name)?.canceller.cancel(new Error('left'))
        }
        if (random.chance(0.5)) await settle()
      }
      await settle()
      for (const { kind } of queue.waiting.values()) expect(queue.free.get(kind) ?? 0).toBe(0)
      expect(queue.capacity.size).toBe(queue.waiting.size)
    },
  )
})
