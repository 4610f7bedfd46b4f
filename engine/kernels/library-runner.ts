/** Runs kernels of the library on a device that it is given: buffers, tables, passes in one submission, and the choice of a variant. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import { sliceTensors, type LibraryWork } from '#shared/job/job.ts'
import {
  checkLibraryInputs,
  findNonFinite,
  resolveJob,
  type ResolvedJob,
} from '#shared/kernels/kernels.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import type { KernelOutput, KernelTimes } from './kernel-runner.ts'
import type { LibraryKernel, Pass } from './library/kernel.ts'
import { LIBRARY } from './library/library.ts'

// Values of GPUBufferUsage and GPUMapMode: https://www.w3.org/TR/webgpu/#buffer-usage
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const
const MAP_READ = 1

/** Tables of constants that stay on the device, the oldest leaving first; the largest is 8 MiB. */
const TABLES_KEPT = 4
/** Timed runs of each variant when one is chosen, after one that warms up. */
const TRIAL_RUNS = 3

export interface LibraryRunner {
  /** @throws {AppError} invalid_request, too_large, model_not_found for another digest, node_timeout, node_lost */
  run(work: LibraryWork, payload: Uint8Array): Promise<KernelOutput[]>
}

export interface LibraryRunnerOptions {
  readonly device: GPUDevice
  readonly isSoftware: boolean
  readonly times: KernelTimes
  /** Monotonic clock in ms. */
  readonly now: () => number
  /** Called when the device hangs. */
  readonly onLost: (reason: string) => void
  /** Why the device is gone, when it is. */
  readonly lost: () => string | undefined
}

/** Buffers of one job, ready to be computed any number of times. */
export interface PreparedJob {
  readonly buffers: ReadonlyMap<string, GPUBuffer>
  encode(encoder: GPUCommandEncoder): void
  destroy(): void
}

/** What lasts as long as the device: pipelines, tables, the variant chosen for each kernel. */
export interface LibraryDevice {
  /** @param variant one of the kernel's @default the one that is fastest here */
  prepare(job: ResolvedJob, variant?: string): Promise<PreparedJob>
  variantOf(kernel: string): Promise<string>
}

export function createLibraryRunner(options: LibraryRunnerOptions): LibraryRunner {
  const { device, times, onLost, lost } = options
  const library = createLibraryDevice(options)
  const within = async <T>(step: Promise<T>, timeoutMs: number, what: string): Promise<T> => {
    try {
      return await beforeDeadline(step, { timeoutMs, what })
    } catch (error) {
      if (errorCode(error) === 'node_timeout') onLost(`${what} took over ${timeoutMs} ms.`)
      throw error
    }
  }
  return {
    async run(work, payload) {
      const reason = lost()
      if (reason !== undefined) throw new AppError('node_lost', reason)
      const job = checkLibraryInputs(work, payload)
      if (job.digest !== work.digest)
        throw new AppError(
          'model_not_found',
          `This node has another ${work.kernel} than ${work.digest}.`,
        )
      // The first job of a kernel compiles its variants and tries them.
      const prepared = await within(
        library.prepare(job),
        times.kernelCompileMs,
        `Preparing ${work.kernel}`,
      )
      try {
        return await within(
          computeJob(device, prepared, { job, payload }),
          times.kernelRunMs,
          work.kernel,
        )
      } finally {
        if (lost() === undefined) prepared.destroy()
      }
    },
  }
}

export function createLibraryDevice(
  options: Pick<LibraryRunnerOptions, 'device' | 'isSoftware' | 'now'>,
): LibraryDevice {
  const { device } = options
  const pipelines = new Map<string, Promise<GPUComputePipeline>>()
  const tables = new Map<string, GPUBuffer>()
  const variants = new Map<string, Promise<string>>()
  const pipelineOf = (kernel: LibraryKernel, source: string) => {
    const key = `${kernel.name}/${source}`
    const known = pipelines.get(key) ?? compile(device, kernel, source)
    pipelines.set(key, known)
    return known
  }
  const prepareVariant = async (job: ResolvedJob, variant: string) => {
    const kernel = kernelOf(job.spec.name)
    const plan = kernel.plan(job, variant)
    const compiled = await Promise.all(plan.passes.map(({ source }) => pipelineOf(kernel, source)))
    const made: GPUBuffer[] = []
    const create = (sizeBytes: number, usage: number) => {
      const buffer = device.createBuffer({ size: Math.max(16, align4(sizeBytes)), usage })
      made.push(buffer)
      return buffer
    }
    const buffers = new Map<string, GPUBuffer>()
    for (const { name, sizeBytes } of job.inputs)
      buffers.set(name, create(sizeBytes, USAGE.STORAGE | USAGE.COPY_DST))
    for (const { name, sizeBytes } of job.outputs)
      buffers.set(name, create(sizeBytes, USAGE.STORAGE | USAGE.COPY_SRC))
    for (const [name, sizeBytes] of Object.entries(plan.scratch))
      buffers.set(name, create(sizeBytes, USAGE.STORAGE))
    for (const [name, { key, make }] of Object.entries(plan.tables))
      buffers.set(name, tableOf(device, tables, { key, make }))
    const steps = plan.passes.map((pass, i) =>
      bind(device, { pass, pipeline: compiled[i], buffers, create }),
    )
    return {
      buffers,
      encode(encoder: GPUCommandEncoder) {
        const commands = encoder.beginComputePass()
        for (const { pipeline, group, workgroups } of steps) {
          commands.setPipeline(pipeline)
          commands.setBindGroup(0, group)
          commands.dispatchWorkgroups(...workgroups)
        }
        commands.end()
      },
      destroy() {
        for (const buffer of made) buffer.destroy()
      },
    }
  }
  const variantOf = (name: string) => {
    const known =
      variants.get(name) ?? chooseVariant(kernelOf(name), { ...options, prepareVariant })
    variants.set(name, known)
    return known
  }
  return {
    variantOf,
    prepare: async (job, variant) =>
      prepareVariant(job, variant ?? (await variantOf(job.spec.name))),
  }
}

function kernelOf(name: string): LibraryKernel {
  const kernel = LIBRARY.find((candidate) => candidate.name === name)
  if (kernel === undefined)
    throw new AppError('internal', `${name} has a specification and no code.`)
  return kernel
}

async function compile(
  device: GPUDevice,
  kernel: LibraryKernel,
  source: string,
): Promise<GPUComputePipeline> {
  const code = kernel.sources[source]
  if (code === undefined) throw new AppError('internal', `${kernel.name} has no source ${source}.`)
  const module = device.createShaderModule({ code, label: `${kernel.name}/${source}` })
  return device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: 'main' },
  })
}

/** The fastest variant on a small job of zeroes; a kernel with one way has nothing to choose. */
async function chooseVariant(
  kernel: LibraryKernel,
  options: Pick<LibraryRunnerOptions, 'device' | 'isSoftware' | 'now'> & {
    readonly prepareVariant: (job: ResolvedJob, variant: string) => Promise<PreparedJob>
  },
): Promise<string> {
  const { device, isSoftware, now, prepareVariant } = options
  const variants = isSoftware ? kernel.variants.software : kernel.variants.hardware
  const [first = '', ...others] = variants
  if (others.length === 0 || kernel.trial === undefined) return first
  const inputs = kernel
    .trial(isSoftware)
    .map((tensor) => ({ ...tensor, datatype: 'FP32' as const }))
  const job = resolveJob({ kernel: kernel.name, inputs, params: {} })
  let best = { variant: first, ms: Infinity }
  for (const variant of variants) {
    const prepared = await prepareVariant(job, variant)
    for (let run = 0; run <= TRIAL_RUNS; run += 1) {
      const startedMs = now()
      const encoder = device.createCommandEncoder()
      prepared.encode(encoder)
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      const ms = now() - startedMs
      if (run > 0 && ms < best.ms) best = { variant, ms }
    }
    prepared.destroy()
  }
  return best.variant
}

interface Binding {
  readonly pass: Pass
  readonly pipeline: GPUComputePipeline | undefined
  readonly buffers: ReadonlyMap<string, GPUBuffer>
  readonly create: (sizeBytes: number, usage: number) => GPUBuffer
}

function bind(device: GPUDevice, { pass, pipeline, buffers, create }: Binding) {
  if (pipeline === undefined) throw new AppError('internal', `${pass.source} was not compiled.`)
  const uniform = create(pass.words.length * 4, USAGE.UNIFORM | USAGE.COPY_DST)
  device.queue.writeBuffer(uniform, 0, Uint32Array.from(pass.words))
  const bound = pass.buffers.map((name) => {
    const buffer = buffers.get(name)
    if (buffer === undefined)
      throw new AppError('internal', `${pass.source} has no buffer ${name}.`)
    return buffer
  })
  const entries = [uniform, ...bound].map((buffer, binding) => ({ binding, resource: { buffer } }))
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries })
  return { pipeline, group, workgroups: pass.workgroups }
}

interface TableRequest {
  readonly key: string
  readonly make: () => Float32Array<ArrayBuffer>
}

/** Tables hold no caller's data and outlive the job. One that leaves may still be bound, so it is left to be collected. */
function tableOf(
  device: GPUDevice,
  tables: Map<string, GPUBuffer>,
  { key, make }: TableRequest,
): GPUBuffer {
  const known = tables.get(key)
  tables.delete(key)
  const buffer = known ?? makeTable(device, make())
  tables.set(key, buffer)
  const [oldest] = tables.keys()
  if (tables.size > TABLES_KEPT && oldest !== undefined) tables.delete(oldest)
  return buffer
}

function makeTable(device: GPUDevice, values: Float32Array<ArrayBuffer>): GPUBuffer {
  const buffer = device.createBuffer({
    size: values.byteLength,
    usage: USAGE.STORAGE | USAGE.COPY_DST,
  })
  device.queue.writeBuffer(buffer, 0, values)
  return buffer
}

/** Buffers are new for each job and WebGPU begins them at zero, so no tenant sees another's bytes. */
export async function computeJob(
  device: GPUDevice,
  prepared: PreparedJob,
  { job, payload }: { readonly job: ResolvedJob; readonly payload: Uint8Array },
): Promise<KernelOutput[]> {
  const slices = sliceTensors(job.inputs, payload)
  for (const [i, { name }] of job.inputs.entries()) {
    const buffer = prepared.buffers.get(name)
    if (buffer !== undefined)
      device.queue.writeBuffer(buffer, 0, padded(slices[i] ?? new Uint8Array()))
  }
  device.pushErrorScope('out-of-memory')
  device.pushErrorScope('validation')
  const encoder = device.createCommandEncoder()
  prepared.encode(encoder)
  const readable = job.outputs.map((header) => {
    const sizeBytes = align4(header.sizeBytes)
    const staging = device.createBuffer({ size: sizeBytes, usage: USAGE.MAP_READ | USAGE.COPY_DST })
    const buffer = prepared.buffers.get(header.name)
    if (buffer !== undefined) encoder.copyBufferToBuffer(buffer, 0, staging, 0, sizeBytes)
    return { header, staging }
  })
  device.queue.submit([encoder.finish()])
  const [validation, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()])
  if (validation !== null) throw new AppError('internal', `${job.spec.name}: ${validation.message}`)
  if (memory !== null)
    throw new AppError('no_capacity', 'The device has not enough memory for this kernel.')
  return Promise.all(
    readable.map(async ({ header, staging }, index) => {
      await staging.mapAsync(MAP_READ)
      const bytes = new Uint8Array(staging.getMappedRange()).slice(0, header.sizeBytes)
      staging.destroy()
      checkFinite(header.datatype, { bytes, index })
      return { header, bytes }
    }),
  )
}

/** Finite numbers went in, so one that is not came of sums beyond the type's range: the caller's to mend. */
function checkFinite(
  datatype: ResolvedJob['outputs'][number]['datatype'],
  { bytes, index }: { readonly bytes: Uint8Array; readonly index: number },
): void {
  const at = findNonFinite(datatype, bytes)
  if (at === -1) return
  const detail = `the result is beyond the range of ${datatype}: scale the inputs down`
  throw new AppError('invalid_request', `/outputs/${index}/data/${at}: ${detail}.`, {
    meta: { errors: [{ pointer: `/outputs/${index}/data/${at}`, detail }] },
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
