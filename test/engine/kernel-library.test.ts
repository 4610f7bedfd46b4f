/** The kernel library on this machine's adapter, against the CPU's own answers. Rules: docs/design/kernels.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { createNodeEngine } from '#local-node/engine-host.ts'
import { silentLog } from '#shared/log.ts'
import { runJob } from '../suites/run-job.ts'
import { errorOf, libraryJob, type LibraryCase } from '../support/library-jobs.ts'

let engine: Engine
beforeAll(async () => {
  engine = await createNodeEngine({ device: 'auto', kernels: 'any', models: [], log: silentLog })
})
afterAll(() => engine.close())

async function expectRight(given: LibraryCase): Promise<void> {
  const job = libraryJob(given)
  const { answer, bytes } = await runJob(engine, job)
  expect(answer.outputs).toEqual(job.resolved.outputs)
  expect(answer.provider).toBe('webgpu')
  expect(errorOf(job, bytes)).toBeLessThanOrEqual(1)
}

const x = (...shape: number[]) => [{ name: 'x', shape }]

describe('matmul', () => {
  const pair = (a: number[], b: number[], datatype: 'FP32' | 'FP16' = 'FP32') => [
    { name: 'a', shape: a, datatype },
    { name: 'b', shape: b, datatype },
  ]
  test.each([
    ['of one number', [1, 1], [1, 1]],
    ['of sizes that are multiples of nothing', [7, 13], [13, 5]],
    ['of whole vectors', [12, 8], [8, 20]],
    ['of tall and thin', [129, 3], [3, 2]],
    ['of a row and a column', [1, 1000], [1000, 1]],
    ['in a batch', [3, 5, 6], [3, 6, 9]],
    ['beyond one tile', [130, 70], [70, 68]],
  ])('[K3] a product %s agrees', async (_, a, b) => {
    for (const datatype of ['FP32', 'FP16'] as const)
      await expectRight({ kernel: 'matmul@1', inputs: pair(a, b, datatype) })
  })
})

describe('softmax, reduce and scan', () => {
  test.each([[[1]], [[5]], [[3, 7]], [[100, 33]], [[2, 1000]], [[65, 257]]])(
    '[K3] rows of %j agree',
    async (shape) => {
      await expectRight({ kernel: 'softmax@1', inputs: x(...shape) })
      for (const op of ['sum', 'mean', 'min', 'max'])
        await expectRight({ kernel: 'reduce@1', inputs: x(...shape), params: { op } })
      for (const exclusive of [false, true])
        for (const datatype of ['FP32', 'INT32', 'UINT32'] as const)
          await expectRight({
            kernel: 'scan@1',
            inputs: [{ name: 'x', datatype, shape }],
            params: { exclusive },
          })
    },
  )
})

describe('fft', () => {
  test.each([1, 2, 4, 8, 16, 64, 128, 1024, 4096])('[K3] %i points agree, both ways', async (n) => {
    for (const inverse of [false, true])
      await expectRight({ kernel: 'fft@1', inputs: x(3, n, 2), params: { inverse } })
    await expectRight({ kernel: 'fft@1', inputs: x(3, n), params: { input: 'real' } })
  })
})

describe('convolution', () => {
  test.each<[number[], number[], Record<string, number>]>([
    [[1, 1, 1], [1, 1, 1], {}],
    [[2, 3, 17], [5, 3, 4], { stride: 2, padding: 3, dilation: 2 }],
    [[1, 4, 100], [8, 4, 3], { padding: 1 }],
  ])('[K3] along one axis of %j with %j agrees', async (shape, w, params) => {
    await expectRight({
      kernel: 'conv1d@1',
      inputs: [...x(...shape), { name: 'w', shape: w }],
      params,
    })
  })
  test.each<[number[], number[], Record<string, number>]>([
    [[1, 1, 1, 1], [1, 1, 1, 1], {}],
    [[2, 3, 9, 11], [6, 3, 3, 2], { stride: 2, padding: 1, dilation: 2 }],
    [[1, 5, 13, 7], [3, 5, 5, 3], { padding: 2 }],
  ])('[K3] over two axes of %j with %j agrees', async (shape, w, params) => {
    await expectRight({
      kernel: 'conv2d@1',
      inputs: [...x(...shape), { name: 'w', shape: w }],
      params,
    })
  })
})

describe('sort and histogram', () => {
  test.each([1, 2, 63, 1000, 5001])('[K4] %i keys of each type come out exactly', async (n) => {
    for (const datatype of ['FP32', 'INT32', 'UINT32'] as const)
      for (const descending of [false, true])
        await expectRight({
          kernel: 'sort@1',
          inputs: [{ name: 'keys', datatype, shape: [n] }],
          params: { descending },
        })
  })
  test('[K4] values are counted exactly', async () => {
    await expectRight({
      kernel: 'histogram@1',
      inputs: x(50, 101),
      params: { bins: 37, min: -0.5, max: 0.9 },
    })
  })
})
