/** What one small job costs at the hub, by count: timers, messages on the link, signals of the runtime, log lines. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Stream } from '@libp2p/interface'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { createTimerWheel } from '#p2p/stream/timer-wheel.ts'
import { createLog } from '#shared/base/log.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'
import { createHubBench, type TestHubBench } from '#test/support/hub/hub.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const JOBS = 200
const IN_FLIGHT = 32

let hub: TestHubBench | undefined
afterEach(async () => {
  vi.restoreAllMocks()
  await hub?.close()
})

/** A hub with four nodes, and counters of what crosses its streams and its clock. */
async function createCounted(streamClock?: Clock) {
  const clock = createCountedClock(1_000)
  const wheel = createTimerWheel(clock)
  const lines: string[] = []
  const messages = { toNodes: 0, toHub: 0 }
  const count = (end: Stream, name: keyof typeof messages) => {
    const send = end.send.bind(end)
    end.send = (bytes) => {
      messages[name] += 1
      return send(bytes)
    }
  }
  hub = await createHubBench([], () => clock.nowMs(), {
    clock: wheel,
    streamClock: streamClock ?? wheel,
    log: createLog({ write: (line) => lines.push(line) }),
    onStream({ hubEnd, nodeEnd }) {
      count(hubEnd, 'toNodes')
      count(nodeEnd, 'toHub')
    },
  })
  return { clock, lines, messages, hub }
}

/** Sends jobs with so many at once; each one takes a moment of the clock. */
async function run(
  { hub: own, clock }: { hub: TestHubBench; clock: { advance(ms: number): void } },
  inFlight: number,
): Promise<void> {
  let left = JOBS
  const lane = async () => {
    while (left > 0) {
      left -= 1
      await own.ask(EU, new Uint8Array(1_024).fill(left))
      clock.advance(2)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

describe.each([
  ['one at a time', 1],
  ['32 in flight', IN_FLIGHT],
])('a small job, %s', (_name, inFlight) => {
  it('sets no timer of its own, sends few messages, and writes no line', async () => {
    const counted = await createCounted()
    for (const country of ['DE', 'FR', 'IT', 'ES']) await counted.hub.join({ country, maxJobs: 8 })
    const { clock, messages, lines } = counted
    const before = { ...messages, timers: clock.timersSet }
    const signals = [vi.spyOn(AbortSignal, 'any'), vi.spyOn(AbortSignal, 'timeout')]
    await run(counted, inFlight)
    // 400 ms: one timer a tick of the wheel, and the pings of four links.
    expect(clock.timersSet - before.timers).toBeLessThanOrEqual(0.2 * JOBS)
    expect(messages.toNodes - before.toNodes).toBeLessThanOrEqual(1.1 * JOBS)
    expect(messages.toHub - before.toHub).toBeLessThanOrEqual(1.1 * JOBS)
    expect(lines).toEqual([])
    // libp2p makes a few for each connection.
    const made = signals.reduce((sum, { mock }) => sum + mock.calls.length, 0)
    expect(made).toBeLessThan(0.1 * JOBS)
  })
})

describe('a job whose time is over', () => {
  it('[W10] ends with node_timeout, and is cancelled on its node as late', async () => {
    const { hub: own, clock } = await createCounted(systemClock)
    const told = Promise.withResolvers<unknown>()
    await own.join({
      country: 'DE',
      run: (_offer, _payload, _next, _emit, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            told.resolve(signal.reason)
            reject(signal.reason as Error)
          })
        }),
    })
    const job = own.ask(EU, new Uint8Array(4), { timeoutMs: LIMITS.jobTimeoutMs })
    const ended = expect(job).rejects.toMatchObject({ code: 'node_timeout' })
    await until('the node has it', () => own.directory.members()[0]?.link.inFlight() === 1)
    clock.advance(LIMITS.jobTimeoutMs - 1)
    expect(own.dispatcher.gauges().activeJobs).toBe(1)
    clock.advance(60)
    await ended
    expect(await told.promise).toMatchObject({ code: 'node_timeout' })
  })
})
