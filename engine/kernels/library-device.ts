/** The kernel library on one device: pipelines, tables, speeds, and the choice of a variant. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import { resolveJob, type ResolvedJob } from '#shared/kernels/kernels.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { align4, BUFFER_USAGE } from '#engine/pace/gpu-buffers.ts'
import { createPieces, type Pieces } from '#engine/pace/pieces.ts'
import type { CalibrateOptions } from './calibrate.ts'
import type { LibraryKernel, Pass } from './library/kernel.ts'
import { LIBRARY } from './library/library.ts'
import { productOf } from '#engine/pace/next-box.ts'
import { inspectKernel } from './rewrite/inspect-kernel.ts'
import { asWritten } from './rewrite/meter-kernel.ts'
import { splitKernel } from './rewrite/split-kernel.ts'
import {
  encodeParts,
  runInParts,
  wholeParts,
  type Dispatch,
  type PartsOptions,
} from '#engine/pace/run-in-parts.ts'

/** Constant tables kept on the device; the largest is 8 MiB. */
const TABLES_KEPT = 4
/** Timed runs of each variant when one is chosen, after a warm-up run. */
const TRIAL_RUNS = 3
/** Size of a kernel's first piece: some ten milliseconds on a slow adapter. Most jobs are smaller. */
const FIRST_OPERATIONS = 2 ** 24

export type LibraryDeviceOptions = Omit<CalibrateOptions, 'processor'>

/** Buffers of one job, ready to be computed any number of times. */
export interface PreparedJob {
  readonly buffers: ReadonlyMap<string, GPUBuffer>
  encode(encoder: GPUCommandEncoder): void
  run(options: Pick<PartsOptions, 'check' | 'finish'>): Promise<void>
  destroy(): void
}

export type LibraryDevice = ReturnType<typeof createLibraryDevice>

export function createLibraryDevice(options: LibraryDeviceOptions) {
  const { device, isSoftware, now } = options
  const pipelines = new Map<string, Promise<CompiledSource>>()
  const paces = new Map<string, Pieces>()
  // Tables hold no caller's data and outlive the job. An evicted one may still be bound, so it is not destroyed.
  const tables = new BoundedMap<string, GPUBuffer>(TABLES_KEPT)
  const variants = new Map<string, Promise<string>>()
  const paceOf = (key: string) =>
    known(paces, key, () =>
      createPieces({ first: FIRST_OPERATIONS, most: LIMITS.libraryOperations, now }),
    )
  const pipelineOf = (kernel: LibraryKernel, source: string) =>
    known(pipelines, `${kernel.name}/${source}`, () => compile(device, kernel, source))
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
      buffers.set(name, create(sizeBytes, BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_DST))
    for (const { name, sizeBytes } of job.outputs)
      buffers.set(name, create(sizeBytes, BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC))
    for (const [name, sizeBytes] of Object.entries(plan.scratch ?? {}))
      buffers.set(name, create(sizeBytes, BUFFER_USAGE.STORAGE))
    for (const [name, { key, make }] of Object.entries(plan.tables ?? {}))
      buffers.set(
        name,
        known(tables, key, () => makeTable(device, make())),
      )
    const groups = plan.passes.reduce((sum, { workgroups }) => sum + productOf(workgroups), 0)
    const items = job.operations / groups
    const steps = plan.passes.map((pass, i) =>
      bind(device, { pass, items, compiled: compiled[i], buffers, create }),
    )
    const pieces = paceOf(`${kernel.name}/${variant}`)
    return {
      buffers,
      encode(encoder: GPUCommandEncoder) {
        made.push(encodeParts(device, encoder, wholeParts(steps)))
      },
      run: ({ check, finish }: Pick<PartsOptions, 'check' | 'finish'>) =>
        runInParts(steps, { device, pieces, now, check, finish }),
      destroy() {
        for (const buffer of made) buffer.destroy()
      },
    }
  }
  const variantOf = (name: string) =>
    known(variants, name, () =>
      chooseVariant(kernelOf(name), { device, isSoftware, now, prepareVariant }),
    )
  return {
    variantOf,
    /** @param variant one of the kernel's @default the fastest on this device */
    prepare: async (job: ResolvedJob, variant?: string) =>
      prepareVariant(job, variant ?? (await variantOf(job.spec.name))),
  }
}

function known<V>(values: Map<string, V>, key: string, make: () => V): V {
  const value = values.get(key) ?? make()
  values.set(key, value)
  return value
}

function kernelOf(name: string): LibraryKernel {
  const kernel = LIBRARY.find((candidate) => candidate.name === name)
  if (kernel === undefined)
    throw new AppError('internal', `${name} has a specification and no code.`)
  return kernel
}

interface CompiledSource extends Pick<Dispatch, 'isSplit' | 'pipeline' | 'workgroupSize'> {
  readonly hasPart: boolean
}

async function compile(
  device: GPUDevice,
  kernel: LibraryKernel,
  source: string,
): Promise<CompiledSource> {
  const written = kernel.sources[source]
  if (written === undefined)
    throw new AppError('internal', `${kernel.name} has no source ${source}.`)
  const report = inspectKernel(written, 'main')
  const { source: code, ...traits } = splitKernel(report, asWritten(report.source))
  const module = device.createShaderModule({ code, label: `${kernel.name}/${source}` })
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: 'main' },
  })
  return { pipeline, workgroupSize: report.workgroupSize, ...traits }
}

async function chooseVariant(
  kernel: LibraryKernel,
  options: LibraryDeviceOptions & {
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
  /** Operations of one workgroup. */
  readonly items: number
  readonly compiled: CompiledSource | undefined
  readonly buffers: ReadonlyMap<string, GPUBuffer>
  readonly create: (sizeBytes: number, usage: number) => GPUBuffer
}

function bind(device: GPUDevice, { pass, items, compiled, buffers, create }: Binding): Dispatch {
  if (compiled === undefined) throw new AppError('internal', `${pass.source} was not compiled.`)
  const { pipeline, workgroupSize, isSplit, hasPart } = compiled
  const uniform = create(pass.words.length * 4, BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST)
  device.queue.writeBuffer(uniform, 0, Uint32Array.from(pass.words))
  const bound = pass.buffers.map((name) => {
    const buffer = buffers.get(name)
    if (buffer === undefined)
      throw new AppError('internal', `${pass.source} has no buffer ${name}.`)
    return buffer
  })
  const entries = [uniform, ...bound].map((buffer, binding) => ({ binding, resource: { buffer } }))
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries })
  const own = (part: GPUBufferBinding) =>
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(1),
      entries: [{ binding: 1, resource: part }],
    })
  const shape = { workgroups: pass.workgroups, workgroupSize, items, isSplit }
  return { pipeline, group, ...shape, own: hasPart ? own : undefined }
}

function makeTable(device: GPUDevice, values: Float32Array<ArrayBuffer>): GPUBuffer {
  const usage = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_DST
  const buffer = device.createBuffer({ size: values.byteLength, usage })
  device.queue.writeBuffer(buffer, 0, values)
  return buffer
}
