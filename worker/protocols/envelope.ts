/** A JSON header and a payload in one HTTP body between Worker and Hub: u32 big-endian length, JSON, payload. */
import { AppError } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import { readRefusal } from './steering.ts'
import { DispatchRequest, type DispatchOutcome, type DispatchResult } from './hub.ts'

/** Payloads of all jobs that one hub holds. */
export const HUB_PAYLOAD_BYTES = 64 * MIB

export function packEnvelope(header: unknown, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const body = new Uint8Array(4 + json.length + payload.length)
  new DataView(body.buffer).setUint32(0, json.length)
  body.set(json, 4)
  body.set(payload, 4 + json.length)
  return body
}

/** @throws {AppError} invalid_request when the body is shorter than its length field */
export function unpackEnvelope(body: Uint8Array): { header: unknown; payload: Uint8Array } {
  const length =
    body.length < 4 ? Infinity : new DataView(body.buffer, body.byteOffset).getUint32(0)
  if (4 + length > body.length) throw new AppError('invalid_request', 'The envelope is cut short.')
  const json = new TextDecoder().decode(body.subarray(4, 4 + length))
  return { header: JSON.parse(json), payload: body.subarray(4 + length) }
}

export async function readDispatch(
  request: Request,
): Promise<{ header: DispatchRequest; payload: Uint8Array }> {
  if (Number(request.headers.get('content-length') ?? 0) > HUB_PAYLOAD_BYTES)
    throw new AppError('too_large', 'The job is larger than a hub may hold.')
  const { header, payload } = unpackEnvelope(new Uint8Array(await request.arrayBuffer()))
  return { header: DispatchRequest.parse(header), payload }
}

export function writeDispatch({ outcome, payload }: DispatchResult): Response {
  return new Response(packEnvelope(outcome, payload))
}

/** @throws {AppError} the hub's error, when it answered with one */
export async function throwRefusal(response: Response): Promise<void> {
  if (response.ok) return
  throw readRefusal(await response.json())
}

/** The hub is of this deployment, so its outcome is not parsed again. @throws {AppError} the hub's error */
export async function readOutcome(response: Response): Promise<DispatchResult> {
  await throwRefusal(response)
  const { header, payload } = unpackEnvelope(new Uint8Array(await response.arrayBuffer()))
  return { outcome: header as DispatchOutcome, payload }
}
