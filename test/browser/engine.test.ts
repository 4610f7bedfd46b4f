/** A tab's engine in real Chromium behaves like a local node's engine. */
import { setTimeout } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
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
  open: () => openTabEngine({ models: MANIFESTS.map(({ id }) => id) }),
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

const EMBED = 'littoral-embed-400k'
const embedding = modelJob(EMBED, [[1], encodeBytes(['is my data safe?'])])
const spectrum = spectrumJob(vibrationWindow().samples)

let engine: TabEngineUnderTest
afterEach(() => engine?.close())

test('[G11] a tab without WebGPU serves models on wasm and refuses kernels', async () => {
  engine = await openTabEngine({ models: [EMBED], hasWebGpu: false })
  expect(engine.kernels).toEqual([])
  const { answer } = await runJob(engine, embedding)
  expect(answer).toMatchObject({ provider: 'wasm', adapter: { isSoftware: true } })
  await expect(runJob(engine, spectrum)).rejects.toMatchObject({ code: 'forbidden' })
})

test('[C12] after its GPU process was killed, a tab offers nothing that is lost, and answers models and kernels again', async () => {
  engine = await openTabEngine({ models: [EMBED] })
  const before = [await runJob(engine, embedding), await runJob(engine, spectrum)]
  await killGpuProcess(engine.browser)
  await until('the loss is reported', async () => {
    const { models, kernels } = await engine.offer()
    return models.length === 0 || kernels.length === 0
  })
  await until('both are offered again', async () => {
    const { models, kernels } = await engine.offer()
    return models.length === 1 && kernels === 'any'
  })
  const after = [await runJob(engine, embedding), await runJob(engine, spectrum)]
  expect(after.map(({ answer }) => answer.provider)).toEqual(['webgpu', 'webgpu'])
  expect(after.map(({ bytes }) => bytes)).toEqual(before.map(({ bytes }) => bytes))
})

test('[U3] [C12] five kernels that hang the compiler cost a tab no other job', async () => {
  engine = await openTabEngine({ models: [] })
  for (let bomb = 1; bomb <= 5; bomb += 1) {
    const bombed = expect(runJob(engine, compileBomb(28, bomb))).rejects.toMatchObject(REFUSAL)
    expect((await runJob(engine, spectrum)).answer.provider).toBe('webgpu')
    await bombed
  }
  expect((await engine.offer()).kernels).toBe('any')
})

test('[U9] a kernel that blocks the GPU process fails, and the job behind it is answered', async () => {
  engine = await openTabEngine({ models: [] })
  const before = await runJob(engine, spectrum)
  const gpu = await gpuProcessId(engine.browser)
  // Stands for a fault that no bound foresees: the process takes the job and does not answer.
  process.kill(gpu, 'SIGSTOP')
  const held = expect(runJob(engine, compileBomb(2))).rejects.toMatchObject({
    code: 'node_timeout',
    meta: { rule: 'kernels.hang' },
  })
  const behind = runJob(engine, spectrum)
  await held
  expect((await engine.offer()).kernels).toEqual([])
  // As the browser's own watchdog does.
  process.kill(gpu, 'SIGKILL')
  expect((await behind).bytes).toEqual(before.bytes)
  expect((await engine.offer()).kernels).toBe('any')
})

test('[C5] when a tab rests in the middle of a job, its GPU process computes no more', async () => {
  engine = await openTabEngine({ models: [EMBED] })
  const gpu = await gpuProcessId(engine.browser)
  const cpuMs = () => cpuMsOf([gpu]) ?? 0
  const texts = Array.from({ length: 200 }, () => 'set the kitchen fan to forty percent '.repeat(6))
  const stop = new AbortController()
  const running = runJob(engine, modelJob(EMBED, [[200], encodeBytes(texts)]), stop.signal)
  const beforeMs = cpuMs()
  await until('the GPU process computes', () => cpuMs() > beforeMs + 100)
  stop.abort()
  await expect(running).rejects.toMatchObject({ code: 'cancelled' })
  await engine.rest()
  const restedMs = cpuMs()
  await setTimeout(300)
  // The operating system counts in ticks of 10 ms; a piece of that job takes several.
  expect(cpuMs() - restedMs).toBeLessThanOrEqual(20)
})
