/** Measures what happens to receipts after their answers: how fast the outbox drains, what a receipt costs, and how late answers are meanwhile. */
import { join } from 'node:path'
import { embeddingCall, untilQuiet } from '../gateway/full-path.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import {
  drive,
  drivePaced,
  measureSection,
  type BenchResult,
  type Contender,
  type Samples,
} from '../harness/harness.ts'
import { createHttpClient, type HttpClient } from '../harness/http-client.ts'
import { createLiveStack, type Running } from '../harness/live-stack.ts'
import { summarize } from '../harness/statistics.ts'
import { HOLD, RELEASE, WAITING, writeHeldWorker } from './held-worker.ts'

const IN_FLIGHT = 32
const SOCKETS = 96
/** Requests before the first round. */
const WARM_UPS = 1_000
const PACED_SECONDS = 10

const DRAIN = 'drain'
const DELIVERED = 'delivered meanwhile'
const HELD = 'held back'

/** Uses a stack of its own, whose hub can hold deliveries back. */
export async function measureDelivery({ dir, log, quick }: BenchContext): Promise<BenchResult> {
  const say = (text: string) => log.info('delivery.step', { text })
  const entry = writeHeldWorker(join(dir, 'held'))
  const stack = createLiveStack({ dir: join(dir, 'delivery'), log, say, entry })
  const part = quick ? 5 : 1
  let client: HttpClient | undefined
  try {
    const running = await stack.running()
    client = createHttpClient(running.url, SOCKETS)
    const system = { running, client }
    await answer(system, WARM_UPS / part)
    await untilQuiet([running.workerdPid])
    const perSecond = (await reach(system, WARM_UPS / part)) / 2
    await untilQuiet([running.workerdPid])
    const paced = { perSecond, count: Math.ceil((perSecond * PACED_SECONDS) / part) }
    const rounds = quick ? 2 : 5
    const waiting = quick ? 1_000 : 4_000
    return {
      name: 'delivery',
      title: 'receipts after their answers: from the hub to tenant and ledger, in workerd',
      sections: [
        await measureSection({
          name: `${waiting} receipts that waited, nothing else to do`,
          contenders: [drainContender(system, waiting)],
          comparisons: [],
          rounds,
        }),
        await measureSection({
          name: `${perSecond.toFixed(0)} requests a second, half of what was reached`,
          contenders: [deliveredContender(system, paced), heldContender(system, paced)],
          comparisons: ['p50Ms', 'p95Ms', 'p99Ms', 'cpuMs'].map((metric) => ({
            of: DELIVERED,
            to: HELD,
            metric,
          })),
          rounds,
        }),
      ],
      includes: INCLUDES,
      notes: [
        'CPU is of workerd, by receipt. Settling includes batches, transactions and waiting for them.',
      ],
    }
  } finally {
    client?.close()
    await stack.close()
  }
}

const INCLUDES = {
  [DRAIN]:
    'from the release of held receipts until tenant and ledger have them all; `delivery CPU` until then, `settling CPU` afterwards until the process is idle',
  [DELIVERED]:
    'answers while receipts are delivered and settled as usual; `CPU` until the last answer',
  [HELD]: 'the same answers while every receipt waits in the outbox',
}

interface System {
  readonly running: Running
  readonly client: HttpClient
}

interface Pace {
  readonly perSecond: number
  readonly count: number
}

async function answer({ running, client }: System, count: number): Promise<void> {
  await drive({ count, inFlight: IN_FLIGHT }, () => client.send(embeddingCall(running)))
}

/** Requests that are answered in a second. */
async function reach(system: System, count: number): Promise<number> {
  const startedMs = performance.now()
  await answer(system, count)
  return (count * 1_000) / (performance.now() - startedMs)
}

function cpuOf({ running }: System): number {
  return cpuMsOf([running.workerdPid]) ?? Number.NaN
}

async function switchTo(path: string, { client }: System): Promise<void> {
  await client.send({ method: 'POST', path })
}

function drainContender(system: System, count: number): Contender {
  return {
    name: DRAIN,
    async run(): Promise<Samples> {
      await switchTo(HOLD, system)
      await answer(system, count)
      return drain(system)
    },
  }
}

/** Lets held receipts go. */
async function drain(system: System): Promise<Samples> {
  const waiting = Number((await system.client.send({ method: 'GET', path: WAITING })).body)
  const [before, startedMs] = [cpuOf(system), performance.now()]
  await switchTo(RELEASE, system)
  const [delivered, seconds] = [cpuOf(system), (performance.now() - startedMs) / 1_000]
  await untilQuiet([system.running.workerdPid])
  return {
    receiptsPerSecond: [waiting / seconds],
    deliveryCpuMs: [(delivered - before) / waiting],
    settlingCpuMs: [(cpuOf(system) - delivered) / waiting],
  }
}

function deliveredContender(system: System, pace: Pace): Contender {
  return {
    name: DELIVERED,
    async run() {
      const samples = await answerPaced(system, pace)
      await untilQuiet([system.running.workerdPid])
      return samples
    },
  }
}

function heldContender(system: System, pace: Pace): Contender {
  return {
    name: HELD,
    async run() {
      await switchTo(HOLD, system)
      const samples = await answerPaced(system, pace)
      await drain(system)
      return samples
    },
  }
}

async function answerPaced(system: System, pace: Pace): Promise<Samples> {
  const { running, client } = system
  const before = cpuOf(system)
  const replies = await drivePaced(pace, () => client.send(embeddingCall(running)))
  const { median, p95, p99 } = summarize(replies.map(({ ms }) => ms))
  return {
    p50Ms: [median],
    p95Ms: [p95],
    p99Ms: [p99],
    cpuMs: [(cpuOf(system) - before) / pace.count],
  }
}
