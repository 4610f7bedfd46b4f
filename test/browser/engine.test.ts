/** A tab's engine in real Chromium: the same behaviour as a local node's. */
import { describe, expect, test } from 'vitest'
import { MANIFESTS } from '#shared/manifests.ts'
import { encodeBytes } from '#shared/tensor.ts'
import { describeEngine } from '../suites/engine.ts'
import { runJob } from '../suites/run-job.ts'
import { modelJob, spectrumJob } from '../support/engine-jobs.ts'
import { openTabEngine } from './tab-engine.ts'

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
