/** The error for a part of a request that a model cannot take. */
import { AppError } from '#shared/base/errors.ts'

/** @param pointer JSON pointer to the part */
export function requestFault(
  pointer: string,
  detail: string,
  code: 'invalid_request' | 'context_length_exceeded' = 'invalid_request',
): AppError {
  return new AppError(code, `${pointer}: ${detail}`, { meta: { errors: [{ pointer, detail }] } })
}
