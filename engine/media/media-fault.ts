/** The error for a picture or sound that cannot be used, with a pointer to its element. */
import { AppError } from '#shared/base/errors.ts'

/** The only element of the only input of our media models. */
const POINTER = '/inputs/0/data/0'

export function badMedia(detail: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `${POINTER}: ${detail}`, {
    meta: { errors: [{ pointer: POINTER, detail }] },
    ...(cause === undefined ? {} : { cause }),
  })
}
