/** Errors that cross the work stream, as codes of the shared table. */
import { AppError, errorCode } from '#shared/errors.ts'
import { readJson, type Frame } from './frames.ts'
import { ErrorBody } from './messages.ts'

/** What the peer refused with; a code that this build does not know becomes `node_lost`. */
export function readWireError(frame: Frame): AppError {
  const { code, detail, meta } = readJson(ErrorBody, frame)
  return new AppError(errorCode({ code }) ?? 'node_lost', detail, { meta: meta ?? {} })
}
