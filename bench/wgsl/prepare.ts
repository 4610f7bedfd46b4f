/** Prepares a kernel for repeated dispatches: its pipeline and buffers on a device. */
import type { SampleKernel } from './kernels.ts'

export interface PreparedKernel {
  /** Dispatches once. @returns milliseconds until the device is done */
  run(): Promise<number>
  /** The output's words, and the second word of the meter. */
  read(): Promise<{ readonly words: Uint32Array; readonly spent: number }>
  destroy(): void
}

// Values of GPUBufferUsage, GPUMapMode and GPUShaderStage: https://www.w3.org/TR/webgpu/#buffer-usage
const STORAGE = 128 | 8 | 4
const COMPUTE = 4

export async function prepareKernel(
  device: GPUDevice,
  sample: SampleKernel,
  { code, isMetered }: { readonly code: string; readonly isMetered: boolean },
): Promise<PreparedKernel> {
  const buffer = (size: number) => device.createBuffer({ size, usage: STORAGE })
  const [input, output] = [buffer(sample.inputWords * 4), buffer(sample.outputWords * 4)]
  const meter = buffer(8)
  const floats = Float32Array.from(
    { length: sample.inputWords },
    (_, i) => ((i * 7919) % 257) / 64 - 2,
  )
  device.queue.writeBuffer(input, 0, floats)
  const layoutOf = (...types: GPUBufferBindingType[]) =>
    device.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE, buffer: { type } })),
    })
  const groupOf = (layout: GPUBindGroupLayout, ...buffers: GPUBuffer[]) =>
    device.createBindGroup({
      layout,
      entries: buffers.map((each, binding) => ({ binding, resource: { buffer: each } })),
    })
  const layouts = [layoutOf('read-only-storage', 'storage'), layoutOf('storage')] as const
  const groups = [groupOf(layouts[0], input, output), groupOf(layouts[1], meter)]
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({
      bindGroupLayouts: isMetered ? [...layouts] : [layouts[0]],
    }),
    compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
  })
  return {
    async run() {
      const startedMs = performance.now()
      const encoder = device.createCommandEncoder()
      encoder.clearBuffer(meter)
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      groups.slice(0, isMetered ? 2 : 1).forEach((group, index) => pass.setBindGroup(index, group))
      pass.dispatchWorkgroups(...sample.workgroups)
      pass.end()
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      return performance.now() - startedMs
    },
    async read() {
      const sizeBytes = sample.outputWords * 4
      const staging = device.createBuffer({ size: sizeBytes + 8, usage: 1 | 8 })
      const encoder = device.createCommandEncoder()
      encoder.copyBufferToBuffer(output, 0, staging, 0, sizeBytes)
      encoder.copyBufferToBuffer(meter, 0, staging, sizeBytes, 8)
      device.queue.submit([encoder.finish()])
      await staging.mapAsync(1)
      const words = new Uint32Array(staging.getMappedRange()).slice()
      staging.destroy()
      return { words: words.subarray(0, sample.outputWords), spent: words.at(-1) ?? 0 }
    },
    destroy() {
      for (const each of [input, output, meter]) each.destroy()
    },
  }
}
