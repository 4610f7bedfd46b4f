/** Our kernels, run by the library's own device code with the variants that it chooses here. */
import { createLibraryDevice } from '../../../engine/kernels/library-device.ts'
import { resolveShapes } from '#shared/kernels/kernels.ts'
import type { Contender, Operation } from './contender.ts'

const KERNELS: Readonly<
  Record<Operation, { kernel: string; names: readonly string[]; params: Record<string, string> }>
> = {
  matmul: { kernel: 'matmul@1', names: ['a', 'b'], params: {} },
  softmax: { kernel: 'softmax@1', names: ['x'], params: {} },
  reduce: { kernel: 'reduce@1', names: ['x'], params: { op: 'sum' } },
  fft: { kernel: 'fft@1', names: ['x'], params: {} },
}

export interface Ours extends Contender {
  /** Adapter and chosen variants, for the report. */
  variants(operations: readonly Operation[]): Promise<string>
}

export function openOurs(device: GPUDevice, isSoftware: boolean): Ours {
  const library = createLibraryDevice({ device, isSoftware, now: () => performance.now() })
  return {
    name: 'littoral',
    async prepare({ operation, inputs }) {
      const { kernel, names, params } = KERNELS[operation]
      const headers = inputs.map(({ shape }, i) => ({
        name: names[i] ?? '',
        datatype: 'FP32' as const,
        shape: [...shape],
      }))
      const job = resolveShapes({ kernel, inputs: headers, params })
      const prepared = await library.prepare(job)
      for (const [i, { data }] of inputs.entries()) {
        const buffer = prepared.buffers.get(names[i] ?? '')
        if (buffer !== undefined) device.queue.writeBuffer(buffer, 0, data)
      }
      const submit = (after?: (encoder: GPUCommandEncoder) => void) => {
        const encoder = device.createCommandEncoder()
        prepared.encode(encoder)
        after?.(encoder)
        device.queue.submit([encoder.finish()])
      }
      return {
        async once() {
          submit()
          await device.queue.onSubmittedWorkDone()
        },
        async result() {
          const [output] = job.outputs
          const buffer = prepared.buffers.get(output?.name ?? '')
          if (output === undefined || buffer === undefined) throw new Error('no output')
          const staging = device.createBuffer({
            size: output.sizeBytes,
            usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
          })
          submit((encoder) => encoder.copyBufferToBuffer(buffer, 0, staging, 0, output.sizeBytes))
          await staging.mapAsync(GPUMapMode.READ)
          const values = new Float32Array(staging.getMappedRange().slice(0))
          staging.destroy()
          return values
        },
        close: () => prepared.destroy(),
      }
    },
    async variants(operations) {
      const chosen = await Promise.all(
        operations.map(async (operation) => {
          const { kernel } = KERNELS[operation]
          return `${kernel} ${await library.variantOf(kernel)}`
        }),
      )
      return chosen.join(', ')
    },
  }
}
