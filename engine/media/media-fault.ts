/** The error for a picture or sound that cannot be used, with a pointer to its element. */
import { faultsError, type AppError } from '#shared/base/errors.ts'

/** Points to the only element of the only input of our media models. */
export function badMedia(detail: string, cause?: unknown): AppError {
  return faultsError([{ pointer: '/inputs/0/data/0', detail }], 'invalid_request', cause)
}
