/** Nodes that take jobs and stay silent, on a hub that stops waiting. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { newJobId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { PATIENCE } from '#worker/hub/attempts/silence.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { createHubInTime, type HubInTime } from '#test/support/hub/hub-in-time.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'
import { createRandom } from '#test/support/random.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const payload = new Uint8Array([1, 2, 3, 4])
const inverted = new Uint8Array([254, 253, 252, 251])
const silent = () => new Promise<never>(() => {})

/** If an honest node is asked too, it must answer within this time on any machine. */
const LONG_MS = 3_000
/** For when all nodes are silent. */
const SHORT_MS = 100

let hub: TestHubBench
let boundMs = LONG_MS
beforeEach(async () => {
  boundMs = LONG_MS
  hub = await createHubBench([], Date.now, { patience: { boundMs: () => boundMs } })
})
afterEach(() => hub.close())

const dispatch = async (change: { timeoutMs?: number; jobId?: ReturnType<typeof newJobId> } = {}) =>
  hub.ask(EU, payload, { timeoutMs: 30_000, ...change })

describe('[N10] a silent node', () => {
  it('gets no job after its silence while another allowed node could take it', async () => {
    await hub.join({ country: 'FR', maxJobs: 1 })
    await dispatch()
    let asked = 0
    const mute = await hub.join({
      country: 'DE',
      maxJobs: 1,
      run: () => {
        asked += 1
        return silent()
      },
    })
    await Promise.all([dispatch(), dispatch()])
    expect(asked).toBe(1)
    await Promise.all(Array.from({ length: 10 }, () => dispatch()))
    expect(asked).toBe(1)
    expect(hub.directory.get(mute.nodeId)).toBeDefined()
  })

  it('never loses its job to a node that the policy excludes', async () => {
    boundMs = SHORT_MS
    const american = await hub.join({ country: 'US' })
    const mute = await hub.join({ country: 'DE', run: silent })
    await expect(dispatch({ timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'node_timeout' })
    expect(american.ran).toEqual([])
    // No other node could have done better, so it stays connected.
    expect(hub.directory.get(mute.nodeId)).toBeDefined()
  })

  it('keeps a kernel that has never run, since it may hang the next node', async () => {
    boundMs = SHORT_MS
    const mute = await hub.join({ country: 'DE', run: silent })
    const taken = dispatch({ timeoutMs: 2_000 })
    await until('it has the job', () => hub.directory.get(mute.nodeId)?.link.inFlight() === 1)
    const honest = await hub.join({ country: 'FR' })
    await expect(taken).rejects.toMatchObject({ code: 'node_timeout' })
    expect(honest.ran).toEqual([])
  })

  it('that is only slow stays connected when it is alone, and its answer counts', async () => {
    boundMs = SHORT_MS
    const slow = await hub.join({
      country: 'DE',
      run: async (_offer, _payload, next) => {
        await new Promise((resolve) => setTimeout(resolve, 500))
        return next()
      },
    })
    const answers = await Promise.all([dispatch(), dispatch(), dispatch()])
    expect(answers.every(({ outcome }) => outcome.nodeId === slow.nodeId)).toBe(true)
    expect(hub.directory.barredMs(slow.nodeId)).toBe(0)
  })
})

describe('a job whose time is over', () => {
  it('[W10] ends with node_timeout, and is cancelled on its node as late', async () => {
    const clock = createCountedClock(1_000)
    await hub.close()
    hub = await createHubBench([], () => clock.nowMs(), { clock })
    const told = Promise.withResolvers<unknown>()
    await hub.join({
      country: 'DE',
      run: (_offer, _payload, _next, _emit, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            told.resolve(signal.reason)
            reject(signal.reason as Error)
          })
        }),
    })
    const ended = expect(dispatch({ timeoutMs: LIMITS.jobTimeoutMs })).rejects.toMatchObject({
      code: 'node_timeout',
    })
    await until('the node has it', () => hub.directory.members()[0]?.link.inFlight() === 1)
    clock.advance(LIMITS.jobTimeoutMs - 1)
    expect(hub.dispatcher.gauges().activeJobs).toBe(1)
    clock.advance(1)
    await ended
    expect(await told.promise).toMatchObject({ code: 'node_timeout' })
  })
})

describe('a node that never ends a cancelled job', () => {
  it('[W7] is disconnected, so that it holds no slot that others wait for', async () => {
    const clock = createCountedClock(1_000)
    await hub.close()
    hub = await createHubBench([], () => clock.nowMs(), { clock })
    const mute = await hub.join({ country: 'DE', maxJobs: 1, run: silent })
    const caller = new AbortController()
    const cancelled = expect(hub.ask(EU, payload, { signal: caller.signal })).rejects.toMatchObject(
      { code: 'cancelled' },
    )
    await until('it has the job', () => hub.directory.get(mute.nodeId)?.link.inFlight() === 1)
    caller.abort()
    await cancelled
    clock.advance(LIMITS.jobTimeoutMs - 2_000)
    expect(hub.directory.get(mute.nodeId)).toBeDefined()
    const next = expect(dispatch()).rejects.toMatchObject({ code: 'node_lost' })
    await until('the next one waits', () => hub.dispatcher.gauges().waitingJobs === 1)
    clock.advance(1_000)
    expect(hub.directory.get(mute.nodeId)).toBeUndefined()
    await next
  })
})

describe('[N10] silence, on a simulated clock', () => {
  let timed: HubInTime
  beforeEach(async () => void (timed = await createHubInTime()))
  afterEach(() => timed.close())

  const ask = async (units = 3, timeoutMs = 30_000) => timed.ask(EU, payload, { timeoutMs, units })
  const askMany = (count: number, units?: number, timeoutMs?: number) =>
    timed.pass(Promise.all(Array.from({ length: count }, () => ask(units, timeoutMs))))
  const nodesOf = (answers: Awaited<ReturnType<typeof askMany>>) =>
    new Set(answers.map(({ outcome }) => outcome.nodeId))

  it('of a mute node costs no job its answer while another node is allowed, and the second such job disconnects the node', async () => {
    const honest = await timed.joinSlow({ country: 'FR', maxJobs: 8, takesMs: () => 100 })
    await askMany(1)
    const mute = await timed.joinSlow({ country: 'DE', maxJobs: 8, takesMs: () => Infinity })
    for (const asked of [1, 2]) {
      expect(timed.directory.barredMs(mute.nodeId)).toBe(0)
      const answers = await askMany(40)
      expect(answers.map((answer) => answer.payload)).toEqual(answers.map(() => inverted))
      expect(nodesOf(answers)).toEqual(new Set([honest.nodeId]))
      expect(answers.filter(({ outcome }) => outcome.attempts === 2)).toHaveLength(1)
      expect(mute.asked()).toBe(asked)
      await timed.pass(timed.sleep(300_000))
    }
    expect(timed.directory.get(mute.nodeId)).toBeUndefined()
    expect(timed.directory.barredMs(mute.nodeId)).toBeGreaterThan(0)
    expect(timed.directory.get(honest.nodeId)).toBeDefined()
  })

  it('at work that only this node finds long is forgiven once it ends the job, and it still gets other work', async () => {
    // Times from a real case: a local node, and a tab that takes twelve times as long for a job of 200 texts.
    const local = await timed.joinSlow({ country: 'FR', maxJobs: 8, takesMs: () => 3_000 })
    await askMany(1, 200)
    const tab = await timed.joinSlow({ country: 'DE', maxJobs: 8, takesMs: () => 37_000 })
    const answers = await askMany(12, 200, 60_000)
    expect(nodesOf(answers)).toEqual(new Set([local.nodeId]))
    expect(tab.asked()).toBe(1)
    await timed.pass(timed.sleep(60_000))
    expect(timed.directory.barredMs(tab.nodeId)).toBe(0)
    const seen = timed.directory.describe().find(({ nodeId }) => nodeId === tab.nodeId)
    // Jobs that it ended too late answered nobody, and are not paid.
    expect(seen).toMatchObject({ jobsDone: 0, inFlight: 0 })
    // More jobs than the local node has slots, in less time than the tab needs: the last one waits.
    const prompt = await askMany(9, 200, 30_000)
    expect(nodesOf(prompt)).toEqual(new Set([local.nodeId]))
    await local.disconnect()
    await until('the local node is gone', () => timed.directory.size === 1)
    const [own] = await askMany(1, 200, 60_000)
    expect(own?.outcome).toMatchObject({ nodeId: tab.nodeId, attempts: 1 })
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'never disconnects an honest node, however much slower it is than the others (seed %i)',
    async (seed) => {
      const random = createRandom(seed)
      const quickMs = 20 + random.below(2_500)
      const slowMs = quickMs * (2 + random.below(Math.min(200, Math.floor(55_000 / quickMs)) - 1))
      await timed.joinSlow({ country: 'FR', maxJobs: 8, takesMs: () => quickMs })
      await askMany(1)
      const slow = await timed.joinSlow({ country: 'DE', maxJobs: 8, takesMs: () => slowMs })
      for (let wave = 0; wave < 4; wave += 1) {
        const answers = await askMany(1 + random.below(8), undefined, 60_000)
        expect(answers.map((answer) => answer.payload)).toEqual(answers.map(() => inverted))
        await timed.pass(timed.sleep(random.below(120_000)))
        expect(timed.directory.barredMs(slow.nodeId)).toBe(0)
      }
      await timed.pass(timed.sleep(120_000))
      expect(timed.directory.barredMs(slow.nodeId)).toBe(0)
      expect(timed.directory.get(slow.nodeId)).toBeDefined()
    },
  )

  it('of many jobs at one moment counts once', async () => {
    await timed.joinSlow({ country: 'FR', maxJobs: 8, takesMs: () => 10 })
    let isMute = false
    const node = await timed.joinSlow({
      country: 'DE',
      maxJobs: 8,
      takesMs: () => (isMute ? Infinity : 10),
    })
    for (let i = 0; i < 6; i += 1) await askMany(16)
    isMute = true
    const before = node.asked()
    const answers = await askMany(40)
    expect(answers).toHaveLength(40)
    expect(node.asked()).toBeGreaterThan(before + 1)
    await timed.pass(timed.sleep(120_000))
    expect(timed.directory.barredMs(node.nodeId)).toBe(0)
    expect(timed.directory.get(node.nodeId)).toBeDefined()
  })

  it('is not held against a node that leaves before its time is over', async () => {
    await timed.joinSlow({ country: 'FR', maxJobs: 1, takesMs: () => 100 })
    await askMany(1)
    const leaving = await timed.joinSlow({ country: 'DE', takesMs: () => Infinity })
    await askMany(4)
    expect(leaving.asked()).toBe(1)
    await leaving.disconnect()
    await until('it is gone', () => timed.directory.get(leaving.nodeId) === undefined)
    expect(timed.directory.barredMs(leaving.nodeId)).toBe(0)
  })
})

describe('how long a node may be silent', () => {
  const bound = async (slowestMs: number | undefined, payloadBytes = 0, othersMs?: number) => {
    const { work } = await kernelRequest(EU, payload)
    return PATIENCE.boundMs(work, { payloadBytes, slowestMs, othersMs })
  }

  it('is longer for work that takes other nodes long, if it has no answer of its own', async () => {
    expect(await bound(undefined, 0, 10)).toBe(await bound(undefined))
    expect(await bound(undefined, 0, 10_000)).toBe(80_000)
    expect(await bound(10, 0, 10_000)).toBe(await bound(10))
  })

  it('depends on its own slowest answers, and never on the hub’s machine', async () => {
    expect(await bound(1)).toBe(await bound(10))
    expect(await bound(2_000)).toBe(16_000)
  })

  it('is longer for work that it has never answered, and for a large input', async () => {
    expect(await bound(undefined)).toBeGreaterThan(await bound(1))
    expect(await bound(undefined, 2 ** 20)).toBeGreaterThan(await bound(undefined))
  })
})
