/** Nodes that take jobs and say nothing of them, on a hub that does not wait for ever. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { newJobId } from '#shared/base/ids.ts'
import { PATIENCE } from '#worker/hub/attempts/silence.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const payload = new Uint8Array([1, 2, 3, 4])
const inverted = new Uint8Array([254, 253, 252, 251])
const never = new AbortController().signal
const silent = () => new Promise<never>(() => {})

/** Where an honest node is asked, too, it must answer within this on any machine. */
const LONG_MS = 3_000
/** Where none but silent ones are. */
const SHORT_MS = 100

let hub: TestHubBench
let boundMs = LONG_MS
beforeEach(async () => {
  boundMs = LONG_MS
  hub = await createHubBench([], Date.now, { boundMs: () => boundMs })
})
afterEach(() => hub.close())

const dispatch = async (change: { timeoutMs?: number; jobId?: ReturnType<typeof newJobId> } = {}) =>
  hub.dispatcher.dispatch(
    await kernelRequest(EU, payload, { timeoutMs: 30_000, ...change }),
    payload,
    never,
  )

describe('[N10] a silent node', () => {
  it('costs nobody an answer while another is allowed, and after two jobs it has lost its place', async () => {
    const honest = await hub.join({ country: 'FR', maxJobs: 8 })
    await dispatch()
    const mute = await hub.join({ country: 'DE', maxJobs: 8, run: silent })
    const answers = await Promise.all(Array.from({ length: 40 }, () => dispatch()))
    expect(answers.map((answer) => answer.payload)).toEqual(answers.map(() => inverted))
    expect(new Set(answers.map(({ outcome }) => outcome.nodeId))).toEqual(new Set([honest.nodeId]))
    expect(answers.some(({ outcome }) => outcome.attempts === 2)).toBe(true)
    await until('it is gone', () => hub.directory.get(mute.nodeId) === undefined)
    expect(hub.directory.barredMs(mute.nodeId)).toBeGreaterThan(0)
    expect(hub.directory.get(honest.nodeId)).toBeDefined()
  })

  it('gets no job while any other allowed node could take it, once it was silent', async () => {
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

  it('loses its job to no node that the policy excludes', async () => {
    boundMs = SHORT_MS
    const american = await hub.join({ country: 'US' })
    const mute = await hub.join({ country: 'DE', run: silent })
    await expect(dispatch({ timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'node_timeout' })
    expect(american.ran).toEqual([])
    // Nobody could have done better: it keeps its place.
    expect(hub.directory.get(mute.nodeId)).toBeDefined()
  })

  it('keeps a kernel that has never run: what may have hung it is not sent around', async () => {
    boundMs = SHORT_MS
    const mute = await hub.join({ country: 'DE', run: silent })
    const taken = dispatch({ timeoutMs: 2_000 })
    await until('it has the job', () => hub.directory.get(mute.nodeId)?.link.inFlight() === 1)
    const honest = await hub.join({ country: 'FR' })
    await expect(taken).rejects.toMatchObject({ code: 'node_timeout' })
    expect(honest.ran).toEqual([])
  })

  it('that is only slow keeps its place where it is alone, and its answer counts', async () => {
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

describe('how long a node may be silent', () => {
  const bound = async (slowestMs: number | undefined, payloadBytes = 0) => {
    const { work } = await kernelRequest(EU, payload)
    return PATIENCE.boundMs(work, { payloadBytes, slowestMs })
  }

  it('follows from its own slowest answers, and never from the machine that the hub runs on', async () => {
    expect(await bound(1)).toBe(await bound(10))
    expect(await bound(2_000)).toBe(16_000)
  })

  it('is longer for work that it has never answered, and for a large input', async () => {
    expect(await bound(undefined)).toBeGreaterThan(await bound(1))
    expect(await bound(undefined, 2 ** 20)).toBeGreaterThan(await bound(undefined))
  })
})
