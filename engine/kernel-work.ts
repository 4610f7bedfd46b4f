/** Runs kernels, submitted ones and the library's, on one device. After a hang or a loss it runs nothing more. */
import { sha256, stringToBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import type { Adapter, KernelWork, LibraryWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { Computed, Engine } from './engine.ts'
import { LISTED_KERNELS } from '#shared/kernels/listed-kernels.ts'
import type { ProcessorClock } from './kernels/calibrate.ts'
import { watchDevice } from './kernels/device-watch.ts'
import { createKernelRunner, type KernelRunner, type KernelTimes } from './kernels/kernel-runner.ts'
import { createLibraryRunner, type LibraryRunner } from './kernels/library-runner.ts'
import type { Grant } from './kernels/rewrite/meter-kernel.ts'
import { LIBRARY_RUN_MS } from './hang-limits.ts'

export interface KernelWorkOptions {
  /** Undefined on a machine without WebGPU. */
  readonly device: GPUDevice | undefined
  readonly adapter: Adapter
  readonly kernels: 'any' | 'listed' | 'none'
  /** @default the limits of each kind of kernel */
  readonly kernelTimes?: KernelTimes
  /** Budget of a submitted kernel. @default measured */
  readonly kernelGrant?: Grant
  readonly processor?: ProcessorClock
  readonly log: Log
  /** Monotonic clock in ms. */
  readonly now: () => number
  readonly onDeviceLost?: (reason: string) => void
}

export interface KernelsOfEngine {
  /** What runs now: nothing once the device is lost. */
  kernels(): Engine['kernels']
  run(work: KernelWork | LibraryWork, payload: Uint8Array, signal: AbortSignal): Promise<Computed>
  close(): void
}

const LIBRARY_TIMES: KernelTimes = {
  kernelCompileMs: LIMITS.kernelCompileMs,
  kernelRunMs: LIBRARY_RUN_MS,
}

interface Opened {
  readonly submitted: KernelRunner
  /** The library is our own code, so a device that runs any kernel, even only listed ones, runs it. */
  readonly library: LibraryRunner
}

export function openKernels(options: KernelWorkOptions): KernelsOfEngine {
  const { device, kernels, adapter, now } = options
  const allowed: Engine['kernels'] =
    device === undefined || kernels === 'none' ? [] : kernels === 'any' ? 'any' : LISTED_KERNELS
  let isClosed = false
  let current = device === undefined ? undefined : open(device)

  function open(opening: GPUDevice): Opened {
    const { kernelTimes, kernelGrant, processor } = options
    const { isSoftware } = adapter
    const watch = watchDevice(opening, (reason) => {
      if (current === undefined || isClosed) return
      options.log.warn('device.lost', { reason })
      current = undefined
      options.onDeviceLost?.(reason)
    })
    const shared = { device: opening, isSoftware, now, watch }
    return {
      submitted: createKernelRunner({
        ...shared,
        processor: isSoftware ? processor : undefined,
        times: kernelTimes ?? LIMITS,
        grant: kernelGrant,
      }),
      library: createLibraryRunner({ ...shared, times: kernelTimes ?? LIBRARY_TIMES }),
    }
  }

  return {
    kernels: () => (current === undefined ? [] : allowed),
    async run(work, payload, signal) {
      if (allowed.length === 0) throw notListed()
      // The text decides whether a kernel is listed, whatever digest came with it.
      const isOurs =
        work.kind === 'library' || LISTED_KERNELS.includes(sha256(stringToBytes(work.wgsl)))
      if (!isOurs && allowed !== 'any') throw notListed()
      if (current === undefined)
        throw new AppError('node_lost', "This node's GPU was lost and is not back yet.")
      const startedMs = now()
      const trust = isOurs ? 'own' : 'metered'
      const outputs =
        work.kind === 'library'
          ? await current.library.run(work, payload, signal)
          : await current.submitted.run(work, payload, { trust, signal })
      const computeMs = now() - startedMs
      const headers = outputs.map(({ header }) => header)
      return {
        answer: { outputs: headers, provider: 'webgpu', adapter, computeMs },
        outputs: outputs.map(({ bytes }) => bytes),
      }
    },
    close() {
      isClosed = true
      current?.submitted.close()
    },
  }
}

function notListed(): AppError {
  return new AppError(
    'forbidden',
    'This node runs only kernels on its own list, and this one is not on it.',
    { meta: { rule: 'kernels.listed' } },
  )
}
