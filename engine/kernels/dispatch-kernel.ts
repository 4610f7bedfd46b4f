/** Dispatches a compiled kernel part by part on the host's own buffers, and reads back what it returns. */
import { AppError } from '#shared/base/errors.ts'
import type { KernelBuffer, KernelWork, TensorHeader } from '#shared/job/job.ts'
import { refuseKernel, sayFault, type CompiledKernel } from './compile-kernel.ts'
import { inErrorScopes } from './in-error-scopes.ts'
import { align4, BUFFER_USAGE, padded, readBuffer } from '#engine/pace/gpu-buffers.ts'
import type { Triple } from '#engine/pace/next-box.ts'
import { runInParts, type Dispatch, type PartsOptions } from '#engine/pace/run-in-parts.ts'

const METER_BYTES = 8

export interface KernelOutput {
  readonly header: TensorHeader
  readonly bytes: Uint8Array
}

export interface KernelDispatch extends Omit<PartsOptions, 'device' | 'finish'> {
  readonly work: KernelWork
  readonly payload: Uint8Array
  readonly workgroupSize: Triple
  /** Collects every new buffer, for the caller to destroy. */
  readonly made: GPUBuffer[]
  /** Buffers of the session by binding. Buffers that are filled now are added. */
  readonly kept: Map<number, GPUBuffer>
}

export interface Dispatched {
  readonly outputs: KernelOutput[]
  /** 1 + the index of a loop that used up its budget, or 0. */
  readonly spent: number
}

type Create = (sizeBytes: number, usage: number) => GPUBuffer

interface Bound {
  readonly spec: KernelBuffer
  readonly buffer: GPUBuffer
}

/** Buffers are new for each job and WebGPU zeroes them, so that no tenant sees another's bytes. */
export async function dispatchKernel(
  device: GPUDevice,
  kernel: CompiledKernel,
  options: KernelDispatch,
): Promise<Dispatched> {
  const { work, workgroupSize, made, pieces, now, check } = options
  const create: Create = (sizeBytes, usage) => {
    const buffer = device.createBuffer({ size: align4(sizeBytes), usage })
    made.push(buffer)
    return buffer
  }
  const { readable, metered } = await inErrorScopes(
    device,
    (message) => refuseKernel(sayFault(message)),
    async () => {
      const bound = bindBuffers(device, options, create)
      const meter = kernel.isMetered
        ? create(METER_BYTES, BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC)
        : undefined
      const dispatch = dispatchOf(device, kernel, { work, workgroupSize, bound, meter })
      const staging = (sizeBytes: number) =>
        create(sizeBytes, BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST)
      const readable = bound
        .filter(({ spec }) => spec.return)
        .map((each) => ({ ...each, staging: staging(each.spec.sizeBytes) }))
      const metered = meter === undefined ? undefined : staging(METER_BYTES)
      const finish = (encoder: GPUCommandEncoder) => {
        for (const { spec, buffer, staging: copy } of readable)
          encoder.copyBufferToBuffer(buffer, 0, copy, 0, align4(spec.sizeBytes))
        if (meter !== undefined && metered !== undefined)
          encoder.copyBufferToBuffer(meter, 0, metered, 0, METER_BYTES)
      }
      await runInParts([dispatch], { device, pieces, now, check, finish })
      return { readable, metered }
    },
  )
  const meter =
    metered === undefined ? [] : new Uint32Array((await readBuffer(metered, METER_BYTES)).buffer)
  const [, spent = 0] = meter
  return { outputs: spent === 0 ? await Promise.all(readable.map(read)) : [], spent }
}

function bindBuffers(
  device: GPUDevice,
  { work, payload, made, kept }: KernelDispatch,
  create: Create,
): Bound[] {
  let offset = 0
  return work.buffers.map((spec) => {
    const before = kept.get(spec.binding)
    if (before !== undefined) {
      if (before.size === boundBytes(spec)) return { spec, buffer: before }
      throw new AppError(
        'invalid_request',
        `Binding ${spec.binding} changed its size in a session.`,
      )
    }
    const isUniform = spec.access === 'uniform'
    const usage =
      (isUniform ? BUFFER_USAGE.UNIFORM : BUFFER_USAGE.STORAGE) |
      BUFFER_USAGE.COPY_DST |
      BUFFER_USAGE.COPY_SRC
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
}

interface Owned extends Pick<KernelDispatch, 'work' | 'workgroupSize'> {
  readonly bound: readonly Bound[]
  readonly meter: GPUBuffer | undefined
}

function dispatchOf(
  device: GPUDevice,
  { pipeline, layout, ownLayout, isSplit, hasPart }: CompiledKernel,
  { work, workgroupSize, bound, meter }: Owned,
): Dispatch {
  const entries = bound.map(({ spec, buffer }) => ({ binding: spec.binding, resource: { buffer } }))
  const metered = meter === undefined ? [] : [{ binding: 0, resource: { buffer: meter } }]
  return {
    pipeline,
    group: device.createBindGroup({ layout, entries }),
    workgroups: work.workgroups,
    workgroupSize,
    items: 1,
    isSplit,
    own:
      ownLayout === undefined
        ? undefined
        : (part) =>
            device.createBindGroup({
              layout: ownLayout,
              entries: hasPart ? [...metered, { binding: 1, resource: part }] : metered,
            }),
  }
}

interface Readable {
  readonly spec: KernelBuffer
  readonly staging: GPUBuffer
}

async function read({ spec, staging }: Readable): Promise<KernelOutput> {
  const { binding, sizeBytes } = spec
  const bytes = await readBuffer(staging, sizeBytes)
  const name = `binding:${binding}`
  return { header: { name, datatype: 'UINT8', shape: [sizeBytes], sizeBytes }, bytes }
}

/** WebGPU rounds a uniform block up to a multiple of 16 bytes. */
function boundBytes({ access, sizeBytes }: KernelBuffer): number {
  return access === 'uniform' ? Math.ceil(sizeBytes / 16) * 16 : align4(sizeBytes)
}
