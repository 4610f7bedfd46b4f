/** The single file in a media model's single input. */
import { splitBytes, type TensorValue } from '#shared/job/tensor.ts'
import { badMedia } from './media-fault.ts'

/** @throws {AppError} invalid_request for an empty file */
export function mediaInput([input]: readonly TensorValue[]): Uint8Array {
  const file = splitBytes(input?.bytes ?? new Uint8Array())?.[0]
  if (file === undefined || file.length === 0) throw badMedia('is empty')
  return file
}
