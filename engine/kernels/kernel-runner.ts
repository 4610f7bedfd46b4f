/** Runs one WGSL kernel on a device that it is given: the host makes every buffer, the one dispatch, and reads back. */
import { AppError } from '#shared/errors.ts'
import type { KernelBuffer, KernelWork, TensorHeader } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import { beforeDeadline } from '../deadline.ts'
import { checkKernel } from './check-kernel.ts'

// Values of GPUBufferUsage, GPUMapMode and GPUShaderStage: https://www.w3.org/TR/webgpu/#buffer-usage
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, STORAGE: 128 } as const
const MAP_READ = 1
const COMPUTE_STAGE = 4

export interface KernelOutput {
  readonly header: TensorHeader
  readonly bytes: Uint8Array
}

/**
 * New buffers are zeroes by WebGPU's own rule and are destroyed after the job, so no tenant sees another's bytes.
 * @throws {AppError} too_large, invalid_request with the compiler's line, node_timeout, node_lost, cancelled
 */
export async function runKernel(
  device: GPUDevice,
  work: KernelWork,
  payload: Uint8Array,
  signal: AbortSignal,
): Promise<KernelOutput[]> {
  checkKernel(work, payload)
  const pipeline = await compile(device, work, signal)
  const made: GPUBuffer[] = []
  try {
    return await dispatch(device, pipeline, { work, payload, signal, made })
  } finally {
    for (const buffer of made) buffer.destroy()
  }
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
}

async function compile(
  device: GPUDevice,
  work: KernelWork,
  signal: AbortSignal,
): Promise<Pipeline> {
  const layout = device.createBindGroupLayout({
    entries: work.buffers.map(({ binding, access }) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
    })),
  })
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code: work.wgsl })
  const compiled = module.getCompilationInfo().then(async (info) => {
    await device.popErrorScope()
    const fault = info.messages.find(({ type }) => type === 'error')
    if (fault !== undefined) throw wgslFault(`line ${fault.lineNum}: ${fault.message}`)
    return createPipeline(device, module, { layout, entryPoint: work.entryPoint })
  })
  const pipeline = await beforeDeadline(compiled, {
    timeoutMs: LIMITS.kernelCompileMs,
    signal,
    what: "The kernel's compilation",
  })
  return { pipeline, layout }
}

async function createPipeline(
  device: GPUDevice,
  module: GPUShaderModule,
  { layout, entryPoint }: { layout: GPUBindGroupLayout; entryPoint: string },
): Promise<GPUComputePipeline> {
  try {
    return await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint },
    })
  } catch (cause) {
    throw wgslFault(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

interface DispatchParts {
  readonly work: KernelWork
  readonly payload: Uint8Array
  readonly signal: AbortSignal
  /** Every buffer that is made, for the caller to destroy. */
  readonly made: GPUBuffer[]
}

async function dispatch(
  device: GPUDevice,
  { pipeline, layout }: Pipeline,
  { work, payload, signal, made }: DispatchParts,
): Promise<KernelOutput[]> {
  device.pushErrorScope('out-of-memory')
  device.pushErrorScope('validation')
  const create = (sizeBytes: number, usage: number) => {
    const buffer = device.createBuffer({ size: align4(sizeBytes), usage })
    made.push(buffer)
    return buffer
  }
  let offset = 0
  const bound = work.buffers.map((spec) => {
    const buffer = create(spec.sizeBytes, USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC)
    if (spec.filled)
      device.queue.writeBuffer(
        buffer,
        0,
        padded(payload.subarray(offset, (offset += spec.sizeBytes))),
      )
    return { spec, buffer }
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  const entries = bound.map(({ spec, buffer }) => ({ binding: spec.binding, resource: { buffer } }))
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }))
  pass.dispatchWorkgroups(...work.workgroups)
  pass.end()
  const returned = bound.filter(({ spec }) => spec.return)
  const readable = returned.map(({ spec, buffer }) => {
    const staging = create(spec.sizeBytes, USAGE.MAP_READ | USAGE.COPY_DST)
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, align4(spec.sizeBytes))
    return { spec, staging }
  })
  device.queue.submit([encoder.finish()])
  const errors = Promise.all([device.popErrorScope(), device.popErrorScope()])
  const finished = Promise.all([errors, readAll(device, readable)])
  const [[validation, memory], outputs] = await beforeDeadline(finished, {
    timeoutMs: LIMITS.kernelRunMs,
    signal,
    what: 'The kernel',
  })
  if (validation !== null) throw wgslFault(validation.message)
  if (memory !== null)
    throw new AppError('no_capacity', 'The device has not enough memory for this kernel.')
  return outputs
}

interface Readable {
  readonly spec: KernelBuffer
  readonly staging: GPUBuffer
}

async function readAll(device: GPUDevice, readable: readonly Readable[]): Promise<KernelOutput[]> {
  if (readable.length === 0) await device.queue.onSubmittedWorkDone()
  return Promise.all(
    readable.map(async ({ spec, staging }) => {
      await staging.mapAsync(MAP_READ)
      const bytes = new Uint8Array(staging.getMappedRange()).slice(0, spec.sizeBytes)
      staging.unmap()
      const shape = [spec.sizeBytes]
      const header = {
        name: `binding:${spec.binding}`,
        datatype: 'UINT8' as const,
        shape,
        sizeBytes: spec.sizeBytes,
      }
      return { header, bytes }
    }),
  )
}

function wgslFault(detail: string, cause?: unknown): AppError {
  const text = detail.slice(0, 1_000)
  return new AppError('invalid_request', `The kernel cannot be run: ${text}`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail: text }] },
    cause,
  })
}

function align4(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4
}

/** A copy whose length is a multiple of 4, which writeBuffer demands. */
function padded(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(align4(bytes.length))
  copy.set(bytes)
  return copy
}
