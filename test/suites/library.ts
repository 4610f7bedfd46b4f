/** The kernel library in every engine with a device: one small job of each kernel, and the refusals. */
import { describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { errorOf, libraryJob, type LibraryCase } from '#test/support/engine/library-jobs.ts'
import { runJob } from '#test/support/engine/run-job.ts'

const x = (...shape: number[]) => ({ name: 'x', shape })

const CASES: readonly LibraryCase[] = [
  {
    kernel: 'matmul@1',
    inputs: [
      { name: 'a', shape: [9, 7] },
      { name: 'b', shape: [7, 6] },
    ],
  },
  {
    kernel: 'matmul@1',
    inputs: [
      { name: 'a', datatype: 'FP16', shape: [2, 5, 3] },
      { name: 'b', datatype: 'FP16', shape: [2, 3, 7] },
    ],
  },
  { kernel: 'softmax@1', inputs: [x(70, 11)] },
  { kernel: 'reduce@1', inputs: [x(3, 500)], params: { op: 'mean' } },
  { kernel: 'scan@1', inputs: [{ name: 'x', datatype: 'INT32', shape: [300] }] },
  { kernel: 'fft@1', inputs: [x(2, 256)], params: { input: 'real' } },
  {
    kernel: 'conv1d@1',
    inputs: [x(1, 2, 19), { name: 'w', shape: [3, 2, 4] }],
    params: { stride: 2 },
  },
  {
    kernel: 'conv2d@1',
    inputs: [x(1, 2, 6, 9), { name: 'w', shape: [5, 2, 3, 3] }],
    params: { padding: 1 },
  },
  { kernel: 'sort@1', inputs: [{ name: 'keys', shape: [333] }] },
  { kernel: 'histogram@1', inputs: [x(999)], params: { bins: 10, min: -1, max: 1 } },
]

export function describeLibrary(engine: () => Engine): void {
  describe('the kernel library', () => {
    test.each(CASES.map((given) => [given.kernel, given] as const))(
      '[K3] %s agrees with the CPU',
      async (_, given) => {
        const job = libraryJob(given)
        const { answer, bytes } = await runJob(engine(), job)
        expect(answer.outputs).toEqual(job.resolved.outputs)
        expect(answer.provider).toBe('webgpu')
        expect(errorOf(job, bytes)).toBeLessThanOrEqual(1)
      },
    )

    test('[K1] a job with another digest is not run', async () => {
      const { work, payload } = libraryJob({ kernel: 'softmax@1', inputs: [x(4)] })
      const other = { ...work, digest: `0x${'0'.repeat(64)}` as const }
      await expect(runJob(engine(), { work: other, payload })).rejects.toMatchObject({
        code: 'model_not_found',
      })
    })

    test('[K6] the node also refuses NaN and missing bytes', async () => {
      const { work, payload } = libraryJob({ kernel: 'softmax@1', inputs: [x(4)] })
      const wild = new Uint8Array(Float32Array.of(1, NaN, 2, 3).buffer)
      for (const bytes of [wild, payload.subarray(4)])
        await expect(runJob(engine(), { work, payload: bytes })).rejects.toMatchObject({
          code: 'invalid_request',
        })
    })

    test('[K6] a result beyond the range of its type is refused', async () => {
      const values = [6e4, 6e4, 2, 2]
      const inputs = [
        { name: 'a', datatype: 'FP16' as const, shape: [1, 2] },
        { name: 'b', datatype: 'FP16' as const, shape: [2, 1] },
      ]
      const job = libraryJob({ kernel: 'matmul@1', inputs, values })
      await expect(runJob(engine(), job)).rejects.toMatchObject({
        code: 'invalid_request',
        meta: { errors: [{ pointer: '/outputs/0/data/0' }] },
      })
    })
  })
}
