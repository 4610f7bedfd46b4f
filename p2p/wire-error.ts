/** Errors that cross the work stream, as codes of the shared table. */
import { z } from 'zod'
import { AppError, errorCode, toWireError } from '#shared/errors.ts'
import { jsonFrame, readJson, type Frame } from './frames.ts'
import { ERROR_DETAIL_CHARS, ErrorBody } from './messages.ts'

/** Facts beyond this many characters of JSON stay at home; the code and the detail always travel. */
const META_CHARS = 16_384

/** Job 0 is the stream itself. */
export function errorFrame(job: number, error: unknown): Frame {
  return jsonFrame('error', job, errorBody(error))
}

export function errorBody(error: unknown): ErrorBody {
  const { code, detail, retryable, meta } = toWireError(error)
  const body = { code, detail: detail.slice(0, ERROR_DETAIL_CHARS), retryable }
  const fits = meta !== undefined && JSON.stringify(meta).length <= META_CHARS
  return fits ? { ...body, meta } : body
}

/** The facts that a peer may add; anything else that it says stays here, since HTTP headers are made of some of them. */
const PeerFacts = z.object({
  rule: z.string().max(64).optional(),
  errors: z
    .array(z.object({ pointer: z.string().max(256), detail: z.string().max(1_024) }))
    .max(16)
    .optional(),
})

/** What the peer refused with; a code that this build does not know becomes `node_lost`. */
export function readWireError(frame: Frame): AppError {
  return errorOf(readJson(ErrorBody, frame))
}

export function errorOf({ code, detail, meta }: ErrorBody): AppError {
  const { rule, errors } = PeerFacts.safeParse(meta).data ?? {}
  return new AppError(errorCode({ code }) ?? 'node_lost', detail, {
    meta: { ...(rule === undefined ? {} : { rule }), ...(errors === undefined ? {} : { errors }) },
  })
}
