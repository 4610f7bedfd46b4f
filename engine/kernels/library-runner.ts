/** Runs kernels of the library on a device: inputs in, passes part by part, outputs back. */
import { AppError, faultsError } from '#shared/base/errors.ts'
import { sliceTensors, type LibraryWork } from '#shared/job/job.ts'
import { findNonFinite } from '#shared/job/tensor.ts'
import { checkLibraryInputs, type ResolvedJob } from '#shared/kernels/kernels.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { align4, BUFFER_USAGE, padded, readBuffer } from '#engine/pace/gpu-buffers.ts'
import type { DeviceWatch } from './device-watch.ts'
import type { KernelOutput } from './dispatch-kernel.ts'
import { inErrorScopes } from './in-error-scopes.ts'
import type { KernelTimes } from './kernel-runner.ts'
import {
  createLibraryDevice,
  type LibraryDeviceOptions,
  type PreparedJob,
} from './library-device.ts'

export type LibraryRunner = ReturnType<typeof createLibraryRunner>

export interface LibraryRunnerOptions extends LibraryDeviceOptions {
  readonly times: KernelTimes
  readonly watch: DeviceWatch
}

export function createLibraryRunner(options: LibraryRunnerOptions) {
  const { device, times, watch } = options
  const library = createLibraryDevice(options)
  return {
    /** @throws {AppError} invalid_request, too_large, model_not_found for another digest, node_timeout, node_lost, cancelled */
    async run(
      work: LibraryWork,
      payload: Uint8Array,
      signal: AbortSignal,
    ): Promise<KernelOutput[]> {
      const check = () => {
        if (watch.lost !== undefined) throw new AppError('node_lost', watch.lost)
        if (signal.aborted) throw cancelled()
      }
      check()
      const job = checkLibraryInputs(work, payload)
      if (job.digest !== work.digest)
        throw new AppError(
          'model_not_found',
          `This node has another ${work.kernel} than ${work.digest}.`,
        )
      // The first job of a kernel compiles its variants and times them.
      const prepared = await watch.within(library.prepare(job), {
        timeoutMs: times.kernelCompileMs,
        what: `Preparing ${work.kernel}`,
        isOurs: true,
      })
      try {
        return await watch.within(computeJob(device, prepared, { job, payload, check }), {
          timeoutMs: times.kernelRunMs,
          what: work.kernel,
          isOurs: true,
        })
      } finally {
        if (watch.lost === undefined) prepared.destroy()
      }
    },
  }
}

export interface ComputedJob {
  readonly job: ResolvedJob
  readonly payload: Uint8Array
  /** Called before each part. @throws to stop the job */
  readonly check: () => void
}

/** Buffers are new for each job and WebGPU zeroes them, so that no tenant sees another's bytes. */
export async function computeJob(
  device: GPUDevice,
  prepared: PreparedJob,
  { job, payload, check }: ComputedJob,
): Promise<KernelOutput[]> {
  const slices = sliceTensors(job.inputs, payload)
  for (const [i, { name }] of job.inputs.entries()) {
    const buffer = prepared.buffers.get(name)
    if (buffer !== undefined)
      device.queue.writeBuffer(buffer, 0, padded(slices[i] ?? new Uint8Array()))
  }
  const refused = (message: string) => new AppError('internal', `${job.spec.name}: ${message}`)
  const readable = await inErrorScopes(device, refused, async () => {
    const outputs = job.outputs.map((header) => {
      const size = align4(header.sizeBytes)
      const usage = BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST
      return { header, staging: device.createBuffer({ size, usage }) }
    })
    const finish = (encoder: GPUCommandEncoder) => {
      for (const { header, staging } of outputs) {
        const buffer = prepared.buffers.get(header.name)
        if (buffer !== undefined) encoder.copyBufferToBuffer(buffer, 0, staging, 0, staging.size)
      }
    }
    try {
      await prepared.run({ check, finish })
    } catch (error) {
      for (const { staging } of outputs) staging.destroy()
      throw error
    }
    return outputs
  })
  return Promise.all(
    readable.map(async ({ header, staging }, index) => {
      const bytes = await readBuffer(staging, header.sizeBytes)
      staging.destroy()
      checkFinite(header.datatype, { bytes, index })
      return { header, bytes }
    }),
  )
}

/** Inputs are finite, so a result that is not finite comes from sums beyond the type's range. */
function checkFinite(
  datatype: ResolvedJob['outputs'][number]['datatype'],
  { bytes, index }: { readonly bytes: Uint8Array; readonly index: number },
): void {
  const at = findNonFinite(datatype, bytes)
  if (at === -1) return
  const detail = `the result is beyond the range of ${datatype}: scale the inputs down`
  throw faultsError([{ pointer: `/outputs/${index}/data/${at}`, detail }])
}
