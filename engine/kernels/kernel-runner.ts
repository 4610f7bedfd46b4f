/** Runs WGSL kernels on a device that it is given, one at a time: the host makes every buffer, one dispatch, and reads back. */
import { AppError, errorCode } from '#shared/errors.ts'
import type { KernelBuffer, KernelWork, TensorHeader } from '#shared/job.ts'
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

export interface KernelTimes {
  readonly kernelCompileMs: number
  readonly kernelRunMs: number
}

export interface KernelRunner {
  /**
   * Settles when the device is done with the job, so that the next one finds it idle.
   * @throws {AppError} too_large, invalid_request with the compiler's line, node_timeout, node_lost
   */
  run(work: KernelWork, payload: Uint8Array): Promise<KernelOutput[]>
  /** Gives the device back, unless it hangs: destroying one that hangs takes the GPU process with it. */
  close(): void
}

export interface KernelRunnerOptions {
  readonly device: GPUDevice
  readonly times: KernelTimes
  /** Called once, when the device hangs or was lost; it runs nothing after that. */
  readonly onLost: (reason: string) => void
}

export function createKernelRunner({ device, times, onLost }: KernelRunnerOptions): KernelRunner {
  let lost: string | undefined
  const setLost = (reason: string) => {
    if (lost !== undefined) return
    lost = reason
    onLost(reason)
  }
  const gone = device.lost.then(({ message }) => {
    setLost(`The GPU device was lost: ${message}`)
    throw new AppError('node_lost', `The GPU device was lost: ${message.slice(0, 200)}`)
  })
  gone.catch(() => {})
  /** A step on the device; one that outlives its time hangs, and the device with it. */
  const within = async <T>(step: Promise<T>, timeoutMs: number, what: string): Promise<T> => {
    try {
      return await beforeDeadline(Promise.race([step, gone]), { timeoutMs, what })
    } catch (error) {
      if (errorCode(error) === 'node_timeout') setLost(`${what} took over ${timeoutMs} ms.`)
      throw error
    }
  }
  return {
    async run(work, payload) {
      checkKernel(work, payload)
      if (lost !== undefined) throw new AppError('node_lost', lost)
      const pipeline = await within(
        compile(device, work),
        times.kernelCompileMs,
        "The kernel's compilation",
      )
      const made: GPUBuffer[] = []
      try {
        const step = dispatch(device, pipeline, { work, payload, made })
        return await within(step, times.kernelRunMs, 'The kernel')
      } finally {
        if (lost === undefined) for (const buffer of made) buffer.destroy()
      }
    },
    close() {
      if (lost !== undefined) return
      lost = 'The engine was closed.'
      device.destroy()
    },
  }
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
}

async function compile(device: GPUDevice, work: KernelWork): Promise<Pipeline> {
  device.pushErrorScope('validation')
  const layout = device.createBindGroupLayout({
    entries: work.buffers.map(({ binding, access }) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
    })),
  })
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] })
  const module = device.createShaderModule({ code: work.wgsl })
  const [fault, { messages }] = await Promise.all([
    device.popErrorScope(),
    module.getCompilationInfo(),
  ])
  const error = messages.find(({ type }) => type === 'error')
  if (error !== undefined)
    throw refuseKernel(`line ${error.lineNum}:${error.linePos}: ${error.message}`)
  if (fault !== null) throw refuseKernel(fault.message)
  try {
    const pipeline = await device.createComputePipelineAsync({
      layout: pipelineLayout,
      compute: { module, entryPoint: work.entryPoint },
    })
    return { pipeline, layout }
  } catch (cause) {
    throw refuseKernel(cause instanceof Error ? cause.message : 'no pipeline', cause)
  }
}

interface DispatchParts {
  readonly work: KernelWork
  readonly payload: Uint8Array
  /** Every buffer that is made, for the caller to destroy. */
  readonly made: GPUBuffer[]
}

/** Buffers are new for each job and zeroes by WebGPU's own rule, so no tenant sees another's bytes. */
async function dispatch(
  device: GPUDevice,
  { pipeline, layout }: Pipeline,
  { work, payload, made }: DispatchParts,
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
    if (spec.filled) {
      const bytes = payload.subarray(offset, (offset += spec.sizeBytes))
      device.queue.writeBuffer(buffer, 0, padded(bytes))
    }
    return { spec, buffer }
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  const entries = bound.map(({ spec, buffer }) => ({ binding: spec.binding, resource: { buffer } }))
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }))
  pass.dispatchWorkgroups(...work.workgroups)
  pass.end()
  const readable = bound
    .filter(({ spec }) => spec.return)
    .map(({ spec, buffer }) => {
      const staging = create(spec.sizeBytes, USAGE.MAP_READ | USAGE.COPY_DST)
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, align4(spec.sizeBytes))
      return { spec, staging }
    })
  device.queue.submit([encoder.finish()])
  const [validation, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()])
  if (validation !== null) throw refuseKernel(validation.message)
  if (memory !== null)
    throw new AppError('no_capacity', 'The device has not enough memory for this kernel.')
  await device.queue.onSubmittedWorkDone()
  return Promise.all(readable.map(read))
}

interface Readable {
  readonly spec: KernelBuffer
  readonly staging: GPUBuffer
}

async function read({ spec, staging }: Readable): Promise<KernelOutput> {
  const { binding, sizeBytes } = spec
  await staging.mapAsync(MAP_READ)
  const bytes = new Uint8Array(staging.getMappedRange()).slice(0, sizeBytes)
  staging.unmap()
  const header = {
    name: `binding:${binding}`,
    datatype: 'UINT8' as const,
    shape: [sizeBytes],
    sizeBytes,
  }
  return { header, bytes }
}

function refuseKernel(detail: string, cause?: unknown): AppError {
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
