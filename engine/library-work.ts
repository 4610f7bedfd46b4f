/** Runs work for the kernel library in an engine. */
import { AppError } from '#shared/base/errors.ts'
import type { Adapter, Answer, LibraryWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { KernelTimes } from './kernels/kernel-runner.ts'
import { createLibraryRunner } from './kernels/library-runner.ts'

export interface LibraryOptions {
  /** Undefined on a machine without WebGPU. */
  readonly device: GPUDevice | undefined
  readonly adapter: Adapter
  readonly kernels: 'any' | 'listed' | 'none'
  readonly kernelTimes?: KernelTimes
  readonly log: Log
  /** Monotonic clock in ms. */
  readonly now: () => number
  readonly onDeviceLost?: (reason: string) => void
}

export type RunLibraryWork = (
  work: LibraryWork,
  payload: Uint8Array,
  signal: AbortSignal,
) => Promise<{ readonly answer: Answer; readonly outputs: readonly Uint8Array[] }>

const LIBRARY_TIMES: KernelTimes = {
  kernelCompileMs: LIMITS.kernelCompileMs,
  kernelRunMs: LIMITS.libraryRunMs,
}

/** The library is our own code, so a device that runs any kernel, even only listed ones, runs it. */
export function openLibrary(options: LibraryOptions): RunLibraryWork {
  const { device, adapter, kernels, kernelTimes = LIBRARY_TIMES, log, now, onDeviceLost } = options
  if (device === undefined || kernels === 'none')
    return () =>
      Promise.reject(new AppError('forbidden', 'This node has no WebGPU device for kernels.'))
  let lost: string | undefined
  void device.lost.then(({ message }) => (lost ??= `The GPU device was lost: ${message}`))
  const runner = createLibraryRunner({
    device,
    isSoftware: adapter.isSoftware,
    times: kernelTimes,
    now,
    lost: () => lost,
    onLost(reason) {
      if (lost !== undefined) return
      lost = reason
      log.warn('device.lost', { reason })
      onDeviceLost?.(reason)
    },
  })
  return async (work, payload, signal) => {
    const startedMs = now()
    const outputs = await runner.run(work, payload, signal)
    const computeMs = now() - startedMs
    const headers = outputs.map(({ header }) => header)
    return {
      answer: { outputs: headers, provider: 'webgpu', adapter, computeMs },
      outputs: outputs.map(({ bytes }) => bytes),
    }
  }
}
