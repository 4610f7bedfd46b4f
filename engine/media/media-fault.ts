/** How a picture or a sound that cannot be used is refused: by the element that brought it, in words that help. */
import { AppError } from '#shared/base/errors.ts'

/** Where the one element of the one input of our media models stands in the request. */
const POINTER = '/inputs/0/data/0'

export function badMedia(detail: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `${POINTER}: ${detail}`, {
    meta: { errors: [{ pointer: POINTER, detail }] },
    ...(cause === undefined ? {} : { cause }),
  })
}
