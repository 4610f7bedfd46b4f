/** Runs a step on a device and reports the errors that WebGPU raises for it. */
import { AppError } from '#shared/base/errors.ts'

/**
 * @param refused makes the error for a validation fault
 * @throws {AppError} no_capacity when the device runs out of memory, else what `step` throws
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
