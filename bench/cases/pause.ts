/** How long after a pause the GPU process of a tab's browser still computes: its own CPU time, as the kernel counts it. */
import { setTimeout } from 'node:timers/promises'
import { encodeBytes } from '#shared/job/tensor.ts'
import { gpuProcessId } from '#test/support/stack/contribute-page.ts'
import { openTabEngine } from '#test/browser/tab-engine.ts'
import { modelJob } from '#test/support/engine/engine-jobs.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import type { BenchResult } from '../harness/harness.ts'
import { summarize } from '../harness/statistics.ts'

const TEXTS = 200
const TEXT = 'set the kitchen fan and the garage pump to forty percent please '.repeat(4)
const LOOK_MS = 10
/** Without a tick of CPU for so long it counts as idle; the time itself is not in the figure. */
const QUIET_MS = 150
const CONTENDER = 'embedding of 200 texts'

export async function measurePause({ quick }: BenchContext): Promise<BenchResult> {
  const engine = await openTabEngine({ models: ['littoral-embed-400k'], hasWebGpu: true })
  const idleMs: number[] = []
  const saidMs: number[] = []
  const cpuMs: number[] = []
  try {
    const gpu = await gpuProcessId(engine.browser)
    for (let round = 0; round < (quick ? 3 : 11); round += 1) {
      const job = modelJob('littoral-embed-400k', [
        [TEXTS],
        encodeBytes(Array.from({ length: TEXTS }, () => TEXT)),
      ])
      const stop = new AbortController()
      const running = engine.run(job.work, job.payload, {
        signal: stop.signal,
        emit: async () => {},
      })
      running.catch(() => {})
      await untilBusy(gpu)
      const pausedAtMs = performance.now()
      const beforeMs = cpuMsOf([gpu]) ?? 0
      stop.abort()
      const resting = engine.rest().then(() => performance.now())
      idleMs.push((await lastTickMs(gpu)) - pausedAtMs)
      cpuMs.push((cpuMsOf([gpu]) ?? 0) - beforeMs)
      saidMs.push((await resting) - pausedAtMs)
      await engine.wake()
    }
  } finally {
    await engine.close()
  }
  return {
    name: 'pause',
    title: 'a tab that is paused',
    sections: [
      {
        name: 'from Pause on, in the middle of a job',
        ratios: [],
        figures: [
          { contender: CONTENDER, metric: 'last tick of the GPU process ms', ...summarize(idleMs) },
          { contender: CONTENDER, metric: 'CPU of the GPU process ms', ...summarize(cpuMs) },
          { contender: CONTENDER, metric: 'tab says so ms', ...summarize(saidMs) },
        ],
      },
    ],
    includes: {
      [CONTENDER]: 'a job of 200 texts on WebGPU, stopped while the GPU process computes',
    },
    notes: [
      'The kernel counts in ticks of 10 ms. On a software adapter the GPU process is the device.',
    ],
  }
}

/** A tenth of a second of its CPU from now on. */
async function untilBusy(pid: number): Promise<void> {
  const beforeMs = cpuMsOf([pid]) ?? 0
  while ((cpuMsOf([pid]) ?? Infinity) < beforeMs + 100) await setTimeout(LOOK_MS)
}

/** When it was last seen to compute. */
async function lastTickMs(pid: number): Promise<number> {
  let cpuMs = cpuMsOf([pid])
  let atMs = performance.now()
  while (performance.now() - atMs < QUIET_MS) {
    await setTimeout(LOOK_MS)
    const nowMs = cpuMsOf([pid])
    if (nowMs !== cpuMs) atMs = performance.now()
    cpuMs = nowMs
  }
  return atMs
}
