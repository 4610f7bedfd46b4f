/** Measures how long the GPU process of a tab's browser computes after a pause, by its CPU time. */
import { setTimeout } from 'node:timers/promises'
import { encodeBytes } from '#shared/job/tensor.ts'
import { gpuProcessId } from '#test/support/stack/contribute-page.ts'
import { openTabEngine, type TabEngineUnderTest } from '#test/browser/tab-engine.ts'
import { kernelJob, modelJob, type Job } from '#test/support/engine/engine-jobs.ts'
import { libraryJob } from '#test/support/engine/library-jobs.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import type { BenchResult, Figure } from '../harness/harness.ts'
import { summarize } from '../harness/statistics.ts'

const TEXTS = 200
const TEXT = 'set the kitchen fan and the garage pump to forty percent please '.repeat(4)
const LOOK_MS = 10
/** A process counts as idle after this long without CPU time; the wait itself is not in the figure. */
const QUIET_MS = 150
const EMBEDDING = 'embedding of 200 texts'
const PRODUCT = 'product of 1024 × 1024'
const SUBMITTED = 'submitted kernel'
/** 4,096 workgroups of 64, 200 turns each: the most that a slow adapter grants a submitted kernel in one dispatch. */
const WGSL = `@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var x = id.x;
  for (var i = 0u; i < 200u; i++) { x = x * 1664525u + 1013904223u; }
  o[id.x] = x;
}`

interface Measured {
  readonly contender: string
  readonly job: Job
  /** Whether it first runs to its end once, to compile it and try its variants. */
  readonly isTried: boolean
}

export async function measurePause({ quick }: BenchContext): Promise<BenchResult> {
  const engine = await openTabEngine({ models: ['littoral-embed-400k'], hasWebGpu: true })
  try {
    const figures: Figure[] = []
    for (const measured of jobs())
      figures.push(...(await measureJob(engine, measured, quick ? 3 : 11)))
    return {
      name: 'pause',
      title: 'a tab that is paused',
      sections: [{ name: 'from Pause on, in the middle of a job', ratios: [], figures }],
      includes: {
        [EMBEDDING]: 'a job of 200 texts on WebGPU, stopped while the GPU process computes',
        [PRODUCT]: 'a job of the library, one dispatch as it is written',
        [SUBMITTED]: 'a kernel of a stranger, metered, one dispatch as it is written',
      },
      notes: [
        'The kernel counts in ticks of 10 ms. On a software adapter the GPU process is the device.',
      ],
    }
  } finally {
    await engine.close()
  }
}

function jobs(): Measured[] {
  const texts = encodeBytes(Array.from({ length: TEXTS }, () => TEXT))
  const side = { datatype: 'FP32' as const, shape: [1024, 1024] }
  const inputs = [
    { name: 'a', ...side },
    { name: 'b', ...side },
  ]
  return [
    {
      contender: EMBEDDING,
      isTried: false,
      job: modelJob('littoral-embed-400k', [[TEXTS], texts]),
    },
    { contender: PRODUCT, isTried: true, job: libraryJob({ kernel: 'matmul@1', inputs }) },
    {
      contender: SUBMITTED,
      isTried: true,
      job: kernelJob({
        wgsl: WGSL,
        workgroups: [4_096, 1, 1],
        buffers: [{ sizeBytes: 4_096 * 64 * 4 }],
      }),
    },
  ]
}

async function measureJob(
  engine: TabEngineUnderTest,
  { contender, isTried, job: { work, payload } }: Measured,
  rounds: number,
): Promise<Figure[]> {
  const gpu = await gpuProcessId(engine.browser)
  const idleMs: number[] = []
  const saidMs: number[] = []
  const cpuMs: number[] = []
  const wholeMs: number[] = []
  if (isTried) {
    const startedMs = performance.now()
    await engine.run(work, payload, { signal: NEVER, emit: async () => {} })
    wholeMs.push(performance.now() - startedMs)
  }
  for (let round = 0; round < rounds; round += 1) {
    const stop = new AbortController()
    const running = engine.run(work, payload, { signal: stop.signal, emit: async () => {} })
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
  return [
    { contender, metric: 'last tick of the GPU process ms', ...summarize(idleMs) },
    { contender, metric: 'CPU of the GPU process ms', ...summarize(cpuMs) },
    { contender, metric: 'tab says so ms', ...summarize(saidMs) },
    ...(isTried ? [{ contender, metric: 'the whole job ms', ...summarize(wholeMs) }] : []),
  ]
}

const NEVER = new AbortController().signal

/** Waits until the process has used another 100 ms of CPU. */
async function untilBusy(pid: number): Promise<void> {
  const beforeMs = cpuMsOf([pid]) ?? 0
  while ((cpuMsOf([pid]) ?? Infinity) < beforeMs + 100) await setTimeout(LOOK_MS)
}

/** Waits until the process is idle. @returns when it last used CPU */
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
