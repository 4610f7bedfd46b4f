import { toAppError, type ErrorCode } from '#shared/base/errors.ts'

/** The code of the error that this throws; `none` when it throws nothing. */
export function codeOf(run: () => unknown): ErrorCode | 'none' {
  try {
    run()
    return 'none'
  } catch (error) {
    return toAppError(error).code
  }
}
