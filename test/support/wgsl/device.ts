/** This machine's WebGPU device in the test's process, and running a kernel on it unchanged. */
import { openDevice, softwareEnvironment, type NodeDevice } from '#local-node/engine/device.ts'
import { invariant } from '#shared/base/errors.ts'

/** Keeps Dawn's instances: collecting one whose device is in use ends the process. */
const kept: NodeDevice[] = []

export async function openTestDevice(): Promise<NodeDevice> {
  const opened = (await openDevice()) ?? (await openSoftware())
  invariant(opened, 'this machine has a WebGPU adapter')
  kept.push(opened)
  return opened
}

function openSoftware() {
  // The Vulkan loader reads it when the first instance is made.
  process.env.VK_DRIVER_FILES = softwareEnvironment(process.env)?.VK_DRIVER_FILES
  return openDevice()
}

/** The compiler's errors. */
export async function compileErrors(device: GPUDevice, code: string): Promise<string[]> {
  device.pushErrorScope('validation')
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo()
  await device.popErrorScope()
  return messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, message }) => `line ${lineNum}: ${message}`)
}

export interface RawRun {
  readonly code: string
  readonly workgroups: readonly [number, number, number]
  readonly input: Uint32Array<ArrayBuffer>
  readonly outputWords: number
  /** Binding of the output; the input has the other one. */
  readonly outputBinding: 0 | 1
  /** True for a source with a meter at `@group(1) @binding(0)`. */
  readonly isMetered: boolean
}

/** Runs a kernel without the engine's checks. @returns the output's words, and the meter's second word */
export async function runRaw(device: GPUDevice, run: RawRun) {
  const usage = 128 | 8 | 4
  const sizes = { output: run.outputWords * 4, input: Math.max(4, run.input.byteLength) }
  const [output, input, meter] = [sizes.output, sizes.input, 8].map((size) =>
    device.createBuffer({ size, usage }),
  )
  invariant(output && input && meter, 'three buffers')
  device.queue.writeBuffer(input, 0, run.input)
  const entry = (binding: number, type: GPUBufferBindingType) => ({
    binding,
    visibility: 4,
    buffer: { type },
  })
  const inputBinding = 1 - run.outputBinding
  const layouts = [
    device.createBindGroupLayout({
      entries: [entry(run.outputBinding, 'storage'), entry(inputBinding, 'read-only-storage')],
    }),
    ...(run.isMetered ? [device.createBindGroupLayout({ entries: [entry(0, 'storage')] })] : []),
  ]
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: layouts }),
    compute: { module: device.createShaderModule({ code: run.code }), entryPoint: 'main' },
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  const [layout, meterLayout] = layouts
  invariant(layout, 'a layout')
  const entries = [
    { binding: run.outputBinding, resource: { buffer: output } },
    { binding: inputBinding, resource: { buffer: input } },
  ]
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }))
  if (meterLayout !== undefined) {
    const own = [{ binding: 0, resource: { buffer: meter } }]
    pass.setBindGroup(1, device.createBindGroup({ layout: meterLayout, entries: own }))
  }
  pass.dispatchWorkgroups(...run.workgroups)
  pass.end()
  const staging = device.createBuffer({ size: sizes.output + 8, usage: 1 | 8 })
  encoder.copyBufferToBuffer(output, 0, staging, 0, sizes.output)
  encoder.copyBufferToBuffer(meter, 0, staging, sizes.output, 8)
  device.queue.submit([encoder.finish()])
  await staging.mapAsync(1)
  const words = new Uint32Array(staging.getMappedRange()).slice()
  for (const buffer of [output, input, meter, staging]) buffer.destroy()
  return { words: words.subarray(0, run.outputWords), spent: words[run.outputWords + 1] ?? 0 }
}

/** Pseudo-random words that are small, finite floats. */
export function inputWords(count: number): Uint32Array<ArrayBuffer> {
  const floats = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 257) / 64 - 2)
  return new Uint32Array(floats.buffer)
}
