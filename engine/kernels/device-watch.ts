/** Watches over a device: what it does has an end in time, and one that hangs or was lost is told of once. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import type { ProcessorClock } from './calibrate.ts'

export interface Patience {
  readonly timeoutMs: number
  readonly what: string
  /** Asked when the time is up: whether the step had hardly any of it. */
  readonly isStarved?: (() => boolean) | undefined
}

export interface DeviceWatch {
  /** Why the device runs nothing any more. */
  readonly lost: string | undefined
  /**
   * A step on the device; one that outlives its time hangs, and the device with it.
   * @throws {AppError} node_timeout, rule `kernels.hang`; node_lost
   */
  within<T>(step: Promise<T>, patience: Patience): Promise<T>
  /** Nobody is told. */
  end(reason: string): void
}

export function watchDevice(device: GPUDevice, onLost: (reason: string) => void): DeviceWatch {
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
    get lost() {
      return lost
    },
    end(reason) {
      lost ??= reason
    },
    async within(step, { timeoutMs, what, isStarved }) {
      const racing = Promise.race([step, gone])
      for (let waitedMs = timeoutMs; ; waitedMs += timeoutMs)
        try {
          return await beforeDeadline(racing, { timeoutMs, what })
        } catch (error) {
          if (errorCode(error) !== 'node_timeout') throw error
          if (waitedMs + timeoutMs <= LIMITS.kernelStarvedMs && isStarved?.() === true) continue
          const detail = `${what} took over ${waitedMs} ms.`
          setLost(detail)
          throw new AppError('node_timeout', detail, { meta: { rule: HANG_RULE }, cause: error })
        }
    },
  }
}

/** Of a processor that plays a GPU only the time counts that it had: a kernel hangs nothing by waiting on a busy machine. */
export function starvedFrom(
  processor: ProcessorClock | undefined,
  timeMs: number,
): (() => boolean) | undefined {
  if (processor === undefined) return undefined
  const beforeMs = processor.usedMs()
  return () => processor.usedMs() - beforeMs < timeMs
}
