/** Runs submitted WGSL on a device that it is given, one kernel at a time: metered, in buffers of the host's own, in one dispatch. */
import { AppError } from '#shared/base/errors.ts'
import type { KernelBuffer, KernelWork, TensorHeader } from '#shared/job/job.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'
import { calibrate, type ProcessorClock } from './calibrate.ts'
import { checkInterface } from './check-interface.ts'
import { checkKernel } from './check-kernel.ts'
import { compileKernel, refuseKernel, type Pipeline } from './compile-kernel.ts'
import { starvedFrom, watchDevice } from './device-watch.ts'
import { createGrants } from './grants.ts'
import { inspectKernel, type KernelReport } from './rewrite/inspect-kernel.ts'
import { meterKernel, type Grant, type MeteredKernel } from './rewrite/meter-kernel.ts'
import { checkWays } from './rewrite/count-ways.ts'
import { tooMuch } from './rewrite/refuse.ts'
import { createKeptBuffers, type KeptBuffers } from './kept-buffers.ts'

// Values of GPUBufferUsage, GPUMapMode and GPUShaderStage: https://www.w3.org/TR/webgpu/#buffer-usage
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const
const MAP_READ = 1

export interface KernelOutput {
  readonly header: TensorHeader
  readonly bytes: Uint8Array
}

export interface KernelTimes {
  readonly kernelCompileMs: number
  readonly kernelRunMs: number
}

/** `metered` for what a stranger sent: every loop draws on a budget. `own` for kernels of ours, which run as written. */
export type KernelTrust = 'metered' | 'own'

export interface KernelRunner {
  /**
   * Settles when the device is done with the job, so that the next one finds it idle.
   * @throws {AppError} too_large, invalid_request with the compiler's line, no_capacity for what is more than this device
   * grants, node_timeout, node_lost
   */
  run(work: KernelWork, payload: Uint8Array, trust?: KernelTrust): Promise<KernelOutput[]>
  /** Gives the device back, unless it hangs: destroying one that hangs takes the GPU process with it. */
  close(): void
}

export interface KernelRunnerOptions {
  readonly device: GPUDevice
  readonly isSoftware: boolean
  readonly times: KernelTimes
  /** Monotonic clock in ms. */
  readonly now: () => number
  /** Time of the processor that plays the GPU, where it is this process. */
  readonly processor?: ProcessorClock | undefined
  /** What a kernel may weigh here. @default measured, and again as conditions change */
  readonly grant?: Grant
  /** Called once, when the device hangs or was lost; it runs nothing after that. */
  readonly onLost: (reason: string) => void
}

export function createKernelRunner(options: KernelRunnerOptions): KernelRunner {
  const { device, times, onLost, grant: fixed, now, processor } = options
  const sessions = createKeptBuffers()
  const watch = watchDevice(device, onLost)
  const grants = createGrants(
    () =>
      fixed === undefined
        ? watch.within(calibrate(options), {
            timeoutMs: times.kernelCompileMs,
            what: 'Measuring the device',
          })
        : Promise.resolve(fixed),
    now,
  )
  const runMetered = async (kernel: MeteredKernel, { work, payload }: KernelJob) => {
    const pipeline = await watch.within(compileKernel(device, work, kernel), {
      timeoutMs: times.kernelCompileMs,
      what: "The kernel's compilation",
    })
    const made: GPUBuffer[] = []
    const kept = takeKept(sessions, work)
    let isOver = false
    try {
      const step = dispatch(device, pipeline, { work, payload, made, kept })
      const { outputs, spent } = await watch.within(step, {
        timeoutMs: times.kernelRunMs,
        what: 'The kernel',
        isStarved: starvedFrom(processor, times.kernelRunMs),
      })
      if (spent !== 0) throw overBudget(kernel, spent)
      isOver = true
      if (work.session !== undefined) sessions.keep(work.session, kept)
      return outputs
    } finally {
      // A step that failed has left its session's buffers half written.
      const spoilt = isOver ? made : [...made, ...kept.values()]
      if (watch.lost === undefined) for (const buffer of spoilt) buffer.destroy()
    }
  }
  return {
    async run(given, payload, trust = 'metered') {
      checkKernel(given, payload)
      // Read and weighed before the device is asked for anything.
      const report = trust === 'metered' ? inspectKernel(given.wgsl, given.entryPoint) : undefined
      const work = report === undefined ? given : checkInterface(report, given)
      checkKernel(work, payload)
      if (watch.lost !== undefined) throw new AppError('node_lost', watch.lost)
      const job = { work, payload }
      if (report === undefined) return runMetered(asWritten(work), job)
      if (options.isSoftware) checkWays(report)
      const grant = await grants.current()
      try {
        return await runMetered(meterFor(report, grant, work), job)
      } catch (error) {
        if (!isOverBudget(error)) throw error
        const larger = await grants.larger(grant)
        if (larger === undefined || !isRepeatable(work)) throw error
        return await runMetered(meterFor(report, larger, work), job)
      }
    },
    close() {
      if (watch.lost !== undefined) return
      watch.end('The engine was closed.')
      sessions.clear()
      device.destroy()
    },
  }
}

interface KernelJob {
  readonly work: KernelWork
  readonly payload: Uint8Array
}

/** A kernel of ours, which no budget ends. */
function asWritten({ wgsl }: KernelWork): MeteredKernel {
  return { plain: wgsl, source: wgsl, isMetered: false, loopLines: [], allowed: '' }
}

function meterFor(report: KernelReport, grant: Grant, { workgroups }: KernelWork): MeteredKernel {
  const groups = workgroups.reduce((product, size) => product * size, 1)
  return meterKernel(report, grant, groups * report.invocations)
}

/** A step that took its session's buffers has spoilt them. */
function isRepeatable({ session, buffers }: KernelWork): boolean {
  return session === undefined || buffers.every(({ keep, filled }) => keep !== true || filled)
}

function isOverBudget(error: unknown): boolean {
  return error instanceof AppError && error.meta.rule === BUDGET_RULE
}

/** What the session's last step left, or nothing where this step brings it all. */
function takeKept(sessions: KeptBuffers, { session, buffers }: KernelWork): Map<number, GPUBuffer> {
  if (session === undefined) return new Map()
  if (buffers.some(({ keep, filled }) => keep === true && !filled))
    return new Map(sessions.take(session))
  sessions.drop(session)
  return new Map()
}

interface DispatchParts {
  readonly work: KernelWork
  readonly payload: Uint8Array
  /** Every buffer that is made, for the caller to destroy. */
  readonly made: GPUBuffer[]
  /** Buffers of the session by binding; those that are filled now are added. */
  readonly kept: Map<number, GPUBuffer>
}

interface Dispatched {
  readonly outputs: KernelOutput[]
  /** 1 + the index of a loop that ran out of its budget, or 0. */
  readonly spent: number
}

const METER_BYTES = 8

/** Buffers are new for each job and zeroes by WebGPU's own rule, so no tenant sees another's bytes. */
async function dispatch(
  device: GPUDevice,
  { pipeline, layout, meterLayout }: Pipeline,
  { work, payload, made, kept }: DispatchParts,
): Promise<Dispatched> {
  device.pushErrorScope('out-of-memory')
  device.pushErrorScope('validation')
  const create = (sizeBytes: number, usage: number) => {
    const buffer = device.createBuffer({ size: align4(sizeBytes), usage })
    made.push(buffer)
    return buffer
  }
  let offset = 0
  const bound = work.buffers.map((spec) => {
    const before = kept.get(spec.binding)
    if (before !== undefined) {
      if (before.size === boundBytes(spec)) return { spec, buffer: before }
      throw new AppError(
        'invalid_request',
        `Binding ${spec.binding} changed its size in a session.`,
      )
    }
    const isUniform = spec.access === 'uniform'
    const usage = (isUniform ? USAGE.UNIFORM : USAGE.STORAGE) | USAGE.COPY_DST | USAGE.COPY_SRC
    const buffer = create(boundBytes(spec), usage)
    if (spec.keep === true && work.session !== undefined) {
      made.pop()
      kept.set(spec.binding, buffer)
    }
    if (spec.filled) {
      const bytes = payload.subarray(offset, (offset += spec.sizeBytes))
      device.queue.writeBuffer(buffer, 0, padded(bytes))
    }
    return { spec, buffer }
  })
  const meter =
    meterLayout === undefined ? undefined : create(METER_BYTES, USAGE.STORAGE | USAGE.COPY_SRC)
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  const entries = bound.map(({ spec, buffer }) => ({ binding: spec.binding, resource: { buffer } }))
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }))
  if (meterLayout !== undefined && meter !== undefined) {
    const resource = { buffer: meter }
    const meterGroup = { layout: meterLayout, entries: [{ binding: 0, resource }] }
    pass.setBindGroup(1, device.createBindGroup(meterGroup))
  }
  pass.dispatchWorkgroups(...work.workgroups)
  pass.end()
  const readable = bound
    .filter(({ spec }) => spec.return)
    .map(({ spec, buffer }) => {
      const staging = create(spec.sizeBytes, USAGE.MAP_READ | USAGE.COPY_DST)
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, align4(spec.sizeBytes))
      return { spec, staging }
    })
  const metered =
    meter === undefined ? undefined : create(METER_BYTES, USAGE.MAP_READ | USAGE.COPY_DST)
  if (meter !== undefined && metered !== undefined)
    encoder.copyBufferToBuffer(meter, 0, metered, 0, METER_BYTES)
  device.queue.submit([encoder.finish()])
  const [validation, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()])
  if (validation !== null) throw refuseKernel(validation.message)
  if (memory !== null)
    throw new AppError('no_capacity', 'The device has not enough memory for this kernel.')
  await device.queue.onSubmittedWorkDone()
  const spent = metered === undefined ? 0 : await readSpent(metered)
  return { outputs: spent === 0 ? await Promise.all(readable.map(read)) : [], spent }
}

/** The second word of the meter. */
async function readSpent(metered: GPUBuffer): Promise<number> {
  await metered.mapAsync(MAP_READ)
  const [, spent = 0] = new Uint32Array(metered.getMappedRange())
  metered.unmap()
  return spent
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

function overBudget({ loopLines, allowed }: MeteredKernel, spent: number): AppError {
  const loop = `line ${loopLines[spent - 1] ?? 0}: this loop, or those before it`
  return tooMuch(`${loop}, did more than ${allowed}`)
}

/** A uniform block ends at a multiple of 16, whatever is in it. */
function boundBytes({ access, sizeBytes }: KernelBuffer): number {
  return access === 'uniform' ? Math.ceil(sizeBytes / 16) * 16 : align4(sizeBytes)
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
