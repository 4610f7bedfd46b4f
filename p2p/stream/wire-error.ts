/** Errors that cross the work stream, as codes of the shared table. */
import { z } from 'zod'
import { NodeId } from '#shared/base/ids.ts'
import { AppError, errorCode, factsOf, toWireError, type ErrorMeta } from '#shared/base/errors.ts'
import { jsonFrame, readJson, type Frame } from './frames.ts'
import { ERROR_DETAIL_CHARS, ErrorBody } from './messages.ts'

/** Longest time that the network can ask a node to stay away. */
export const REJOIN_MAX_SECONDS = 3_600

/** Larger facts (in characters of JSON) are left out; code and detail always travel. */
const META_CHARS = 16_384

export function errorFrame(job: number, error: unknown): Frame {
  return jsonFrame('error', job, errorBody(error))
}

export function errorBody(error: unknown): ErrorBody {
  const { code, detail, retryable, meta } = toWireError(error)
  const body = { code, detail: detail.slice(0, ERROR_DETAIL_CHARS), retryable }
  const fits = meta !== undefined && JSON.stringify(meta).length <= META_CHARS
  return fits ? { ...body, meta: { ...meta } } : body
}

/** Facts accepted from a peer. Others are dropped, since some become HTTP headers. */
const PeerFacts = z.object({
  rule: z.string().max(64).optional(),
  errors: z
    .array(z.object({ pointer: z.string().max(256), detail: z.string().max(1_024) }))
    .max(16)
    .optional(),
})

/** Reads the peer's refusal; a code unknown to this build becomes `node_lost`. */
export function readWireError(frame: Frame): AppError {
  return errorOf(readJson(ErrorBody, frame))
}

/** Facts accepted from a hub only: when the node may return, and where else it may go. */
const HubFacts = z.object({
  retryAfterSeconds: z.int().min(1).max(REJOIN_MAX_SECONDS).optional(),
  next: z.strictObject({ hub: z.string().regex(/^[a-z0-9-]{1,64}$/), peerId: NodeId }).optional(),
})

/** Reads the hub's refusal of this node. */
export function readHubError(frame: Frame): AppError {
  const body = readJson(ErrorBody, frame)
  const { code, detail, meta } = errorOf(body)
  const { data = {} } = HubFacts.safeParse(body.meta)
  return new AppError(code, detail, { meta: factsOf(code, { ...meta, ...data }) })
}

export function errorOf(body: ErrorBody): AppError {
  const { code, detail, meta } = said(body)
  return new AppError(code, detail, { meta })
}

/** The error that a node itself sent. It informs the caller; the hub acts on its own clock and this type. */
export class NodeError extends AppError {}

export function readNodeError(frame: Frame): NodeError {
  const { code, detail, meta } = said(readJson(ErrorBody, frame))
  // A node that cancels a job unasked has abandoned it.
  return code === 'cancelled'
    ? new NodeError('node_lost', 'The node abandoned the job.')
    : new NodeError(code, detail, { meta })
}

function said({ code: name, detail, meta }: ErrorBody) {
  const code = errorCode({ code: name }) ?? 'node_lost'
  const { data = {} } = PeerFacts.safeParse(meta)
  return { code, detail, meta: factsOf(code, data) satisfies ErrorMeta }
}
