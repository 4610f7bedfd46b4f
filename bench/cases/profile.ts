/** Samples CPU profiles of workerd and the node over the same requests. */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import { embeddingCall, untilQuiet } from '../gateway/full-path.ts'
import { drive, type BenchResult } from '../harness/harness.ts'
import { createHttpClient } from '../harness/http-client.ts'
import { createLiveStack } from '../harness/live-stack.ts'
import { startProfile, type CpuProfile } from '../profile/inspector.ts'
import { topOf, type TopEntry } from '../profile/top.ts'

const WORKERD = '127.0.0.1:9230'
/** Node opens its inspector here on SIGUSR1. */
const NODE = '127.0.0.1:9229'
const LINES = 40
const IN_FLIGHT = 8

/** Uses a stack of its own: readable names and the profiler cost time, which no other bench should carry. */
export async function measureProfile({ dir, log, quick }: BenchContext): Promise<BenchResult> {
  const say = (text: string) => log.info('profile.step', { text })
  const stack = createLiveStack({ dir: join(dir, 'profiled'), log, say, inspector: WORKERD })
  try {
    const running = await stack.running()
    const client = createHttpClient(running.url, IN_FLIGHT)
    const call = embeddingCall(running)
    const count = quick ? 200 : 800
    const send = (requests: number) =>
      drive({ count: requests, inFlight: IN_FLIGHT }, () => client.send(call))
    await send(200)
    process.kill(running.nodePid, 'SIGUSR1')
    await untilQuiet([running.workerdPid])
    const profiles = [await startProfile(WORKERD), await startProfile(NODE)]
    const pids = [running.workerdPid, running.nodePid]
    const before = pids.map((pid) => cpuMsOf([pid]) ?? Number.NaN)
    await send(count)
    await untilQuiet(pids)
    const spentMs = pids.map((pid, i) => (cpuMsOf([pid]) ?? Number.NaN) - (before[i] ?? 0))
    const [workerd, node] = await Promise.all(profiles.map((profile) => profile.stop()))
    client.close()
    return {
      name: 'profile',
      title: `where the CPU of ${count} embeddings goes, ${IN_FLIGHT} at once, in ms a request`,
      sections: [],
      includes: {
        workerd: 'Worker, hub, tenant, ledger until the receipts are settled',
        node: 'the local node without its engine process',
      },
      notes: [
        ...describe('workerd', workerd, { count, spentMs: spentMs[0] ?? Number.NaN }),
        ...describe('node', node, { count, spentMs: spentMs[1] ?? Number.NaN }),
      ],
    }
  } finally {
    await stack.close()
  }
}

interface Load {
  readonly count: number
  /** CPU time of the whole process. */
  readonly spentMs: number
}

function describe(name: string, profile: CpuProfile | undefined, { count, spentMs }: Load) {
  if (profile === undefined) return []
  const file = join(tmpdir(), `littoral-${name}.cpuprofile`)
  writeFileSync(file, JSON.stringify(profile))
  const { busyMs, entries } = topOf(profile)
  const each = (ms: number) => (ms / count).toFixed(3)
  const lines = (by: (entry: TopEntry) => number) =>
    entries
      .toSorted((a, b) => by(b) - by(a))
      .slice(0, LINES)
      .map((entry) => `  ${each(entry.selfMs)} self  ${each(entry.totalMs)} total  ${entry.name}`)
  return [
    `${name}: ${each(spentMs)} ms of CPU a request, of which ${each(busyMs)} on its main thread; ${file}`,
    ` most by itself`,
    ...lines(({ selfMs }) => selfMs),
    ` most with what it calls`,
    ...lines(({ totalMs }) => totalMs),
  ]
}
