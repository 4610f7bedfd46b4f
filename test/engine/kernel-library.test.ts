/** The kernel library on this machine's adapter, compared with the CPU reference. Rules: docs/design/kernels.md. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { silentLog } from '#shared/base/log.ts'
import { runJob } from '#test/support/engine/run-job.ts'
import {
  decodeAll,
  errorOf,
  libraryJob,
  type LibraryCase,
} from '#test/support/engine/library-jobs.ts'

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
  test.each([1, 2, 63, 1000, 5001])('[K4] %i keys of each type are sorted exactly', async (n) => {
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

describe('any shape', () => {
  const size = (most: number) => fc.integer({ min: 1, max: most })
  const datatype = fc.constantFrom('FP32' as const, 'INT32' as const, 'UINT32' as const)
  const some = fc.oneof<fc.Arbitrary<LibraryCase>[]>(
    fc.tuple(size(40), size(40), size(40)).map(([m, k, n]) => ({
      kernel: 'matmul@1',
      inputs: [
        { name: 'a', shape: [m, k] },
        { name: 'b', shape: [k, n] },
      ],
    })),
    fc.tuple(size(90), size(300)).map((shape) => ({ kernel: 'softmax@1', inputs: x(...shape) })),
    fc.tuple(size(9), size(20_000)).map((shape) => ({
      kernel: 'reduce@1',
      inputs: x(...shape),
      params: { op: 'sum' },
    })),
    fc.tuple(size(5), size(9_000), datatype).map(([rows, length, type]) => ({
      kernel: 'scan@1',
      inputs: [{ name: 'x', datatype: type, shape: [rows, length] }],
    })),
    fc.tuple(size(5), fc.integer({ min: 0, max: 12 })).map(([rows, bits]) => ({
      kernel: 'fft@1',
      inputs: x(rows, 2 ** bits, 2),
    })),
    fc.tuple(size(9_000), datatype).map(([n, type]) => ({
      kernel: 'sort@1',
      inputs: [{ name: 'keys', datatype: type, shape: [n] }],
    })),
    fc.tuple(size(9_000), size(4_096)).map(([n, bins]) => ({
      kernel: 'histogram@1',
      inputs: x(n),
      params: { bins, min: -0.8, max: 0.8 },
    })),
    fc
      .tuple(size(3), size(6), size(12), size(12), size(3), size(2))
      .map(([channels, out, high, wide, tap, step]) => ({
        kernel: 'conv2d@1',
        inputs: [...x(2, channels, high, wide), { name: 'w', shape: [out, channels, tap, tap] }],
        params: { stride: step, dilation: step, padding: 3 },
      })),
  )

  test('[K3] that a kernel accepts agrees with the CPU', async () => {
    await fc.assert(
      fc.asyncProperty(some, fc.nat(), (given, seed) => expectRight({ ...given, seed })),
      { seed: 20_261_122, numRuns: 60 },
    )
  })
})

describe('at the limits', () => {
  test('[K5] a transform of 2^20 points', async () => {
    await expectRight({ kernel: 'fft@1', inputs: x(2 ** 20, 2) })
  })

  test('[K5] a sort of 2^21 keys is in order, stable and loses none', async () => {
    const n = 2 ** 21
    const job = libraryJob({
      kernel: 'sort@1',
      inputs: [{ name: 'keys', datatype: 'UINT32', shape: [n] }],
      values: Array.from({ length: n }, (_, i) => Math.imul(i, 2_654_435_761) >>> 12),
    })
    const { bytes } = await runJob(engine, job)
    const [sorted = [], order = []] = decodeAll(job.resolved.outputs, bytes)
    const seen = new Uint8Array(n)
    let faults = 0
    for (let i = 0; i < n; i += 1) {
      const [key = 0, from = 0] = [sorted[i], order[i]]
      const [next = Infinity, fromNext = Infinity] = [sorted[i + 1], order[i + 1]]
      const isOrdered = key < next || (key === next && from < fromNext)
      if (!isOrdered || job.inputs[0]?.[from] !== key || seen[from] !== 0) faults += 1
      seen[from] = 1
    }
    expect(faults).toBe(0)
  })

  test('[K5] one row of 8 Mi elements, and a million rows of one', async () => {
    await expectRight({ kernel: 'reduce@1', inputs: x(2 ** 23), params: { op: 'sum' } })
    await expectRight({ kernel: 'softmax@1', inputs: x(2 ** 20, 1) })
    await expectRight({ kernel: 'scan@1', inputs: x(2 ** 22) })
  })
})

describe('sorting unusual keys', () => {
  test('[K4] orders zeroes of both signs, equal keys and the ends of the range by its rule', async () => {
    const values = [0, -0, 1e-45, -1e-45, 3.4e38, -3.4e38, 5, 5, -0, 0, 5]
    for (const descending of [false, true])
      await expectRight({
        kernel: 'sort@1',
        inputs: [{ name: 'keys', shape: [values.length] }],
        params: { descending },
        values,
      })
  })
})

test('the tolerance detects one wrong number in a thousand', async () => {
  for (const given of [
    { kernel: 'fft@1', inputs: x(512, 2) },
    { kernel: 'scan@1', inputs: x(1000) },
    { kernel: 'sort@1', inputs: [{ name: 'keys', shape: [1000] }] },
  ]) {
    const job = libraryJob(given)
    const { bytes } = await runJob(engine, job)
    const floats = new Float32Array(bytes.slice().buffer)
    floats[500] = (floats[500] ?? 0) + 0.01
    expect(errorOf(job, bytes)).toBeLessThanOrEqual(1)
    expect(errorOf(job, new Uint8Array(floats.buffer))).toBeGreaterThan(1)
  }
})
