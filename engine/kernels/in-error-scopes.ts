/** A step on a device, and what the device says of it afterwards. */
import { AppError } from '#shared/base/errors.ts'

/**
 * @param refused what is thrown where the device found a fault in what it was given
 * @throws {AppError} no_capacity when its memory does not last, else what `step` throws
 */
export async function inErrorScopes<T>(
  device: GPUDevice,
  refused: (message: string) => AppError,
  step: () => Promise<T>,
): Promise<T> {
  device.pushErrorScope('out-of-memory')
  device.pushErrorScope('validation')
  const [outcome] = await Promise.allSettled([step()])
  const [validation, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()])
  if (validation !== null) throw refused(validation.message)
  if (memory !== null)
    throw new AppError('no_capacity', 'The device has not enough memory for this kernel.')
  if (outcome.status === 'rejected') throw outcome.reason as Error
  return outcome.value
}
