/** Runs kernels, submitted ones and the library's, on one device. After a hang or a loss it runs nothing more. */
import { sha256, stringToBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import type { Answer, KernelWork, LibraryWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Engine } from './engine.ts'
import { LISTED_KERNELS } from '#shared/kernels/listed-kernels.ts'
import type { ProcessorClock } from './kernels/calibrate.ts'
import { createKernelRunner, type KernelRunner } from './kernels/kernel-runner.ts'
import type { Grant } from './kernels/rewrite/meter-kernel.ts'
import { openLibrary, type LibraryOptions, type RunLibraryWork } from './library-work.ts'

export interface KernelWorkOptions extends LibraryOptions {
  /** CPU time of this process, where it emulates the GPU. */
  readonly processor?: ProcessorClock
  /** Budget of a submitted kernel. @default measured */
  readonly kernelGrant?: Grant
}

export interface KernelsOfEngine {
  /** What runs now: nothing once the device is lost. */
  kernels(): Engine['kernels']
  run(
    work: KernelWork | LibraryWork,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ readonly answer: Answer; readonly outputs: readonly Uint8Array[] }>
  close(): void
}

interface Opened {
  readonly runner: KernelRunner
  readonly library: RunLibraryWork
}

export function openKernels(options: KernelWorkOptions): KernelsOfEngine {
  const { device, kernels, adapter, now } = options
  const allowed: Engine['kernels'] =
    device === undefined || kernels === 'none' ? [] : kernels === 'any' ? 'any' : LISTED_KERNELS
  let isClosed = false
  let current = device === undefined ? undefined : open(device)

  function open(opening: GPUDevice): Opened {
    const onLost = (reason: string) => {
      if (current === undefined || isClosed) return
      options.log.warn('device.lost', { reason })
      current = undefined
      options.onDeviceLost?.(reason)
    }
    const { log, kernelTimes = LIMITS, kernelGrant: grant, processor } = options
    return {
      runner: createKernelRunner({
        device: opening,
        isSoftware: adapter.isSoftware,
        processor: adapter.isSoftware ? processor : undefined,
        times: kernelTimes,
        now,
        onLost,
        ...(grant === undefined ? {} : { grant }),
      }),
      library: openLibrary({ ...options, log, device: opening, onDeviceLost: onLost }),
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
      if (work.kind === 'library') return current.library(work, payload, signal)
      const startedMs = now()
      const outputs = await current.runner.run(work, payload, {
        trust: isOurs ? 'own' : 'metered',
        signal,
      })
      const computeMs = now() - startedMs
      const headers = outputs.map(({ header }) => header)
      return {
        answer: { outputs: headers, provider: 'webgpu', adapter, computeMs },
        outputs: outputs.map(({ bytes }) => bytes),
      }
    },
    close() {
      isClosed = true
      current?.runner.close()
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
