/** A hub and real work streams in a time of their own, which stands still while anything is on its way. */
import { setImmediate } from 'node:timers/promises'
import type { Engine } from '#engine/engine.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import type { JobOffer } from '#p2p/stream/messages.ts'
import type { Work } from '#shared/job/job.ts'
import { silentLog, type Log } from '#shared/base/log.ts'
import { HANG_MS } from '#test/support/poll.ts'
import { createHubBench, type RunJob, type TestHubBench, type TestMember } from './hub.ts'

const ANY_WORK: Work = { kind: 'model', model: '', digest: `0x${'0'.repeat(64)}`, inputs: [] }

export interface ManualClock extends Clock {
  /** Advances to the next time at which something is due, and does it. */
  step(): void
  /** Lets time pass in which nothing that is due gets done, as while the process is busy. */
  skip(ms: number): void
}

export function createManualClock(): ManualClock {
  const timers = new Set<{ readonly atMs: number; readonly fire: () => void }>()
  let nowMs = Date.now()
  return {
    nowMs: () => nowMs,
    after(delayMs, fire) {
      const timer = { atMs: nowMs + delayMs, fire }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    skip: (ms) => void (nowMs += ms),
    step() {
      if (timers.size === 0) throw new Error('nothing is due, ever')
      nowMs = Math.max(nowMs, Math.min(...[...timers].map(({ atMs }) => atMs)))
      for (const timer of timers) {
        if (timer.atMs > nowMs || !timers.delete(timer)) continue
        timer.fire()
      }
    },
  }
}

export interface HubInTime extends TestHubBench {
  readonly clock: ManualClock
  /**
   * A node whose jobs take this long each, one after the other as on one device; Infinity for one that never answers.
   */
  joinSlow(options: {
    readonly country: string
    readonly maxJobs?: number
    /** @throws what the node gives the job back with */
    readonly takesMs: (offer: JobOffer) => number
    readonly engine?: Engine
    /** Bytes that it sends again each second while it works. */
    readonly drip?: Uint8Array | (() => Uint8Array)
  }): Promise<TestMember & { readonly asked: () => number }>
  /** Lets time pass until then. */
  pass<T>(work: Promise<T>): Promise<T>
  sleep(ms: number): Promise<void>
}

/** @param random breaks ties, and says when an unmeasured node is tried */
export async function createHubInTime(random: () => number = () => 0): Promise<HubInTime> {
  const clock = createManualClock()
  /** By node: jobs that end only when the clock moves, and jobs that the hub has taken away. */
  const asleep = new Map<string, Set<string>>()
  const gone = new Set<string>()
  const log: Log = {
    ...silentLog,
    warn(event, fields) {
      if (event === 'attempt.failed') gone.add(`${fields?.['nodeId']} ${fields?.['jobId']}`)
    },
  }
  const bench = await createHubBench([], () => clock.nowMs(), { clock, log, random })
  const isStill = () => {
    const { activeJobs, waitingJobs } = bench.dispatcher.gauges()
    // Two nodes may have one job.
    const waitedFor = new Set(
      [...asleep].flatMap(([nodeId, jobs]) =>
        [...jobs].filter((jobId) => !gone.has(`${nodeId} ${jobId}`)),
      ),
    )
    // A slot is taken from the choice on, before the node has the job.
    const nodes = bench.directory.views(ANY_WORK, 1)
    return (
      activeJobs === waitingJobs + waitedFor.size &&
      nodes.every(({ nodeId, inFlight }) => {
        const jobs = asleep.get(nodeId)
        return jobs === undefined || inFlight === jobs.size
      })
    )
  }
  return {
    ...bench,
    clock,
    async joinSlow({ takesMs, drip, ...options }) {
      const jobs = new Set<string>()
      let asked = 0
      let device = Promise.resolve()
      const run: RunJob = async (offer, _payload, next, emit, signal) => {
        asked += 1
        const { jobId } = offer.ticket
        const turn = device.then(() => sleepOn(clock, takesMs(offer), signal))
        device = turn.catch(() => {})
        jobs.add(jobId)
        const stop =
          drip === undefined
            ? () => {}
            : dripOn(clock, () => emit(typeof drip === 'function' ? drip() : drip))
        try {
          await Promise.race([turn, aborted(signal)])
        } finally {
          stop()
          jobs.delete(jobId)
        }
        return next()
      }
      const member = await bench.join({ ...options, run })
      asleep.set(member.nodeId, jobs)
      // Streams measure round trips by the machine's clock, and in this time a frame takes none.
      Object.assign(bench.directory.get(member.nodeId)?.link ?? {}, { rttMs: () => 0 })
      return { ...member, asked: () => asked }
    },
    async pass(work) {
      let isOver = false
      const end = () => void (isOver = true)
      work.then(end, end)
      while (!isOver) {
        await settled(() => isOver || isStill())
        if (!isOver) clock.step()
      }
      return work
    },
    sleep: (ms) => sleepOn(clock, ms, new AbortController().signal),
  }
}

/** @throws after {@link HANG_MS} of the machine's time */
async function settled(isSettled: () => boolean): Promise<void> {
  const deadline = performance.now() + HANG_MS
  do {
    await setImmediate()
    if (performance.now() > deadline) throw new Error('the hub does not come to rest')
  } while (!isSettled())
}

/** @returns stops it */
function dripOn(clock: Clock, emit: () => Promise<void>): () => void {
  let stop = () => {}
  const next = () => {
    emit().catch(() => {})
    stop = clock.after(1_000, next)
  }
  next()
  return () => stop()
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function sleepOn(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = Number.isFinite(delayMs) ? clock.after(delayMs, resolve) : () => {}
  const onAbort = () => {
    stop()
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}
