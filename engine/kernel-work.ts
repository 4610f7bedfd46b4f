/** Work for kernels, submitted ones and the library's, on a device that may hang: it is then abandoned, and another opened. */
import { sha256, stringToBytes } from 'viem'
import { AppError } from '#shared/errors.ts'
import type { Answer, KernelWork, LibraryWork } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import { beforeDeadline } from './deadline.ts'
import type { Engine } from './engine.ts'
import { LISTED_KERNELS } from '#shared/listed-kernels.ts'
import { createKernelRunner, type KernelRunner } from './kernels/kernel-runner.ts'
import type { Grant } from './kernels/rewrite/meter-kernel.ts'
import { openLibrary, type LibraryOptions, type RunLibraryWork } from './library-work.ts'

export interface KernelWorkOptions extends LibraryOptions {
  /**
   * Opens another device after one was lost; undefined when there is none.
   * @default none: kernels are refused from then on
   */
  readonly reopenDevice?: () => Promise<GPUDevice | undefined>
  /** What a submitted kernel may weigh. @default measured */
  readonly kernelGrant?: Grant
  /** Waits between tries to open another device. @default a timer */
  readonly pause?: (ms: number) => Promise<void>
}

export interface KernelsOfEngine {
  /** What runs now: nothing while the device is lost. */
  kernels(): Engine['kernels']
  run(
    work: KernelWork | LibraryWork,
    payload: Uint8Array,
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
  /** Kept for good: a hung device that is collected is destroyed, and takes the GPU process with it. */
  const abandoned: GPUDevice[] = []
  let isClosed = false
  let current = device === undefined ? undefined : open(device)

  function open(opening: GPUDevice): Opened {
    let isLost = false
    const onLost = (reason: string) => {
      if (isLost || isClosed) return
      isLost = true
      options.log.warn('device.lost', { reason })
      current = undefined
      abandoned.push(opening)
      options.onDeviceLost?.(reason)
      void reopen()
    }
    const { log, kernelTimes = LIMITS, kernelGrant: grant } = options
    return {
      runner: createKernelRunner({
        device: opening,
        isSoftware: adapter.isSoftware,
        times: kernelTimes,
        now,
        onLost,
        ...(grant === undefined ? {} : { grant }),
      }),
      library: openLibrary({ ...options, log, device: opening, onDeviceLost: onLost }),
    }
  }

  async function reopen(): Promise<void> {
    const { reopenDevice, log, pause = sleep } = options
    if (reopenDevice === undefined) return
    for (let attempt = 1; abandoned.length < LIMITS.devicesAbandoned; attempt += 1) {
      await pause(LIMITS.deviceReopenMs * attempt)
      if (isClosed || attempt > LIMITS.deviceReopens) break
      try {
        const timeoutMs = LIMITS.deviceReopenMs
        const found = await beforeDeadline(reopenAndAsk(reopenDevice), {
          timeoutMs,
          what: 'A new device',
        })
        if (found === undefined) continue
        current = open(found)
        log.info('device.reopened', { attempt })
        return
      } catch (error) {
        log.warn('device.reopen-failed', { attempt, cause: String(error) })
      }
    }
    log.warn('device.given-up', { abandoned: abandoned.length })
  }

  return {
    kernels: () => (current === undefined ? [] : allowed),
    async run(work, payload) {
      if (allowed.length === 0) throw notListed()
      // The text is what runs, so the text is what is looked up, whatever digest came with it.
      const isOurs =
        work.kind === 'library' || LISTED_KERNELS.includes(sha256(stringToBytes(work.wgsl)))
      if (!isOurs && allowed !== 'any') throw notListed()
      if (current === undefined)
        throw new AppError('node_lost', "This node's GPU was lost and is not back yet.")
      if (work.kind === 'library') return current.library(work, payload)
      const startedMs = now()
      const outputs = await current.runner.run(work, payload, isOurs ? 'own' : 'metered')
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

/** A device that answers: one whose GPU process still works at the last kernel does not. */
async function reopenAndAsk(
  reopenDevice: () => Promise<GPUDevice | undefined>,
): Promise<GPUDevice | undefined> {
  const device = await reopenDevice()
  await device?.queue.onSubmittedWorkDone()
  return device
}

function notListed(): AppError {
  return new AppError(
    'forbidden',
    'This node runs only kernels on its own list, and this one is not on it.',
    { meta: { rule: 'kernels.listed' } },
  )
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
