/** Watches a device: limits how long each step may take, and reports a hang or a loss once. */
import { AppError, errorCode, invariant } from '#shared/base/errors.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import type { ProcessorClock } from './calibrate.ts'

/** Wall-clock limit of a kernel when the processor that emulates the GPU is busy. */
export const KERNEL_STARVED_MS = 10_000
invariant(LIMITS.kernelRunMs < KERNEL_STARVED_MS, 'A starved kernel gets more time.')

export interface Patience {
  readonly timeoutMs: number
  readonly what: string
  /** Asked at the time limit: whether the step got hardly any processor time. */
  readonly isStarved?: (() => boolean) | undefined
  /** Whether the step runs our own code: its hang is then not blamed on a submitted kernel. */
  readonly isOurs?: boolean
}

export type DeviceWatch = ReturnType<typeof watchDevice>

export function watchDevice(device: GPUDevice, onLost: (reason: string) => void) {
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
  return {
    get lost(): string | undefined {
      return lost
    },
    /** Stops the watch without a report. */
    end(reason: string) {
      lost ??= reason
    },
    /**
     * Waits for a step on the device. A step over its time means that the device hangs.
     * @throws {AppError} node_timeout, rule `kernels.hang`; node_lost
     */
    async within<T>(
      step: Promise<T>,
      { timeoutMs, what, isStarved, isOurs = false }: Patience,
    ): Promise<T> {
      const racing = Promise.race([step, gone])
      for (let waitedMs = timeoutMs; ; waitedMs += timeoutMs)
        try {
          return await beforeDeadline(racing, { timeoutMs, what })
        } catch (error) {
          if (errorCode(error) !== 'node_timeout') throw error
          if (waitedMs + timeoutMs <= KERNEL_STARVED_MS && isStarved?.() === true) continue
          const detail = `${what} took over ${waitedMs} ms.`
          setLost(detail)
          const meta = isOurs ? {} : { rule: HANG_RULE }
          throw new AppError('node_timeout', detail, { meta, cause: error })
        }
    },
  }
}

/** An emulated GPU is judged by the processor time it got: waiting on a busy machine is not a hang. */
export function starvedFrom(
  processor: ProcessorClock | undefined,
  timeMs: number,
): (() => boolean) | undefined {
  if (processor === undefined) return undefined
  const beforeMs = processor.usedMs()
  return () => processor.usedMs() - beforeMs < timeMs
}
