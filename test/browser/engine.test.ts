/** A tab's engine in real Chromium: the same behaviour as a local node's. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { cpuMsOf } from '../../bench/harness/cpu-time.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { describeEngine } from '../suites/engine.ts'
import { until } from '../support/poll.ts'
import { runJob } from '#test/support/engine/run-job.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import { modelJob, spectrumJob } from '#test/support/engine/engine-jobs.ts'
import { compileBomb, REFUSAL } from '../support/wgsl/compile-bomb.ts'
import { gpuProcessId, killGpuProcess } from '#test/support/stack/contribute-page.ts'
import { openTabEngine, type TabEngineUnderTest } from './tab-engine.ts'

describeEngine('a tab on a software adapter', {
  open: () => openTabEngine({ models: MANIFESTS.map(({ id }) => id), hasWebGpu: true }),
  providers: {
    'littoral-embed-400k': ['webgpu'],
    'pp-ocr-rec': ['wasm'],
    'littoral-chat-2m': ['wasm'],
    'pp-ocr': ['wasm'],
    'nanodet-g': ['wasm'],
    'silero-vad': ['wasm'],
  },
  kernels: 'any',
})

describe('a tab without WebGPU', () => {
  test('[G11] it serves models on wasm and refuses kernels', async () => {
    const engine = await openTabEngine({
      models: ['littoral-embed-400k'],
      hasWebGpu: false,
    })
    try {
      expect(engine.kernels).toEqual([])
      const job = modelJob('littoral-embed-400k', [[1], encodeBytes(['is my data safe?'])])
      const { answer } = await runJob(engine, job)
      expect(answer).toMatchObject({ provider: 'wasm', adapter: { isSoftware: true } })
      await expect(runJob(engine, spectrumJob(new Float32Array(4096)))).rejects.toMatchObject({
        code: 'forbidden',
      })
    } finally {
      await engine.close()
    }
  })
})

test('[C12] after its GPU process was killed, a tab offers nothing that is lost, and answers models and kernels again', async () => {
  const engine = await openTabEngine({ models: ['littoral-embed-400k'], hasWebGpu: true })
  const embedding = modelJob('littoral-embed-400k', [[1], encodeBytes(['is my data safe?'])])
  const spectrum = spectrumJob(vibrationWindow().samples)
  try {
    const before = [await runJob(engine, embedding), await runJob(engine, spectrum)]
    await killGpuProcess(engine.browser)
    await until('the loss is told', async () => {
      const { models, kernels } = await engine.offer()
      return models.length === 0 || kernels.length === 0
    })
    await until('both are offered again', () => offersBoth(engine))
    const after = [await runJob(engine, embedding), await runJob(engine, spectrum)]
    expect(after.map(({ answer }) => answer.provider)).toEqual(['webgpu', 'webgpu'])
    expect(after.map(({ bytes }) => bytes)).toEqual(before.map(({ bytes }) => bytes))
  } finally {
    await engine.close()
  }
})

test('[U3] [C12] five kernels that its compiler would not come back from cost a tab no other job', async () => {
  const engine = await openTabEngine({ models: [], hasWebGpu: true })
  const spectrum = spectrumJob(vibrationWindow().samples)
  try {
    for (let bomb = 1; bomb <= 5; bomb += 1) {
      const bombed = expect(runJob(engine, compileBomb(28, bomb))).rejects.toMatchObject(REFUSAL)
      expect((await runJob(engine, spectrum)).answer.provider).toBe('webgpu')
      await bombed
    }
    expect((await engine.offer()).kernels).toBe('any')
  } finally {
    await engine.close()
  }
})

test('[U9] a kernel that holds the GPU process ends by its own error, and the job behind it by an answer', async () => {
  const engine = await openTabEngine({ models: [], hasWebGpu: true })
  const spectrum = spectrumJob(vibrationWindow().samples)
  try {
    const before = await runJob(engine, spectrum)
    const gpu = await gpuProcessId(engine.browser)
    // What no bound foresees: it takes this job, and answers nothing any more.
    process.kill(gpu, 'SIGSTOP')
    const held = expect(runJob(engine, compileBomb(2))).rejects.toMatchObject({
      code: 'node_timeout',
      meta: { rule: 'kernels.hang' },
    })
    const behind = runJob(engine, spectrum)
    await held
    expect((await engine.offer()).kernels).toEqual([])
    // The browser's own watchdog ends it so.
    process.kill(gpu, 'SIGKILL')
    expect((await behind).bytes).toEqual(before.bytes)
    expect((await engine.offer()).kernels).toBe('any')
  } finally {
    await engine.close()
  }
})

test('[C5] a tab that says it rests has a GPU process that computes no more, in the middle of a job', async () => {
  const engine = await openTabEngine({ models: ['littoral-embed-400k'], hasWebGpu: true })
  try {
    const gpu = await gpuProcessId(engine.browser)
    const cpuMs = () => cpuMsOf([gpu]) ?? 0
    const texts = Array.from({ length: 200 }, () =>
      'set the kitchen fan to forty percent '.repeat(6),
    )
    const stop = new AbortController()
    const running = runJob(
      engine,
      modelJob('littoral-embed-400k', [[200], encodeBytes(texts)]),
      stop.signal,
    )
    const beforeMs = cpuMs()
    await until('the GPU process computes', () => cpuMs() > beforeMs + 100)
    stop.abort()
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    await engine.rest()
    const restedMs = cpuMs()
    await setTimeout(300)
    // The kernel counts in ticks of 10 ms; a piece of that job takes several.
    expect(cpuMs() - restedMs).toBeLessThanOrEqual(20)
  } finally {
    await engine.close()
  }
})

async function offersBoth(engine: TabEngineUnderTest): Promise<boolean> {
  const { models, kernels } = await engine.offer()
  return models.length === 1 && kernels === 'any'
}
