/**
 * The Open Inference Protocol's binary tensor extension: bytes of tensors follow the JSON, and a
 * header says where the JSON ends
 * (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension).
 */
import type { FieldFault } from '#shared/base/errors.ts'
import { invalidAt } from '#worker/body/faults.ts'
import type { EncodedInfer, InferTensor } from './oip.ts'

export const JSON_LENGTH_HEADER = 'inference-header-content-length'

export const BINARY_EXTENSION = 'binary_tensor_data'

export interface SplitBody {
  readonly json: Uint8Array
  readonly binary: Uint8Array
}

/** @param jsonLength the header's value @throws {AppError} invalid_request when the JSON cannot end there */
export function splitBody(body: Uint8Array, jsonLength: string | undefined): SplitBody {
  if (jsonLength === undefined) return { json: body, binary: new Uint8Array() }
  const length = /^[1-9][0-9]{0,9}$/.test(jsonLength) ? Number(jsonLength) : NaN
  if (length <= body.length)
    return { json: body.subarray(0, length), binary: body.subarray(length) }
  throw invalidAt(
    `/headers/${JSON_LENGTH_HEADER}`,
    `is "${jsonLength.slice(0, 20)}", must be the length of the JSON in bytes, 1 to ${body.length} of this body`,
  )
}

/**
 * Cuts the bytes after the JSON into inputs, in order; undefined for inputs without any. Sizes that
 * do not add up are faults.
 */
export function cutBinary(
  inputs: readonly InferTensor[],
  binary: Uint8Array,
  faults: FieldFault[],
): (Uint8Array | undefined)[] {
  let offset = 0
  const cut = inputs.map((input, index) => {
    const sizeBytes = input.parameters?.binary_data_size
    if (sizeBytes === undefined) return undefined
    const fault = binaryFault(input, sizeBytes, binary.length - offset)
    if (fault !== undefined)
      faults.push({ pointer: `/inputs/${index}${fault.at}`, detail: fault.detail })
    const bytes = binary.subarray(offset, offset + sizeBytes)
    offset += sizeBytes
    return bytes
  })
  if (offset < binary.length) {
    faults.push({
      pointer: '/inputs',
      detail: `take ${offset} bytes after the JSON, ${binary.length} came`,
    })
  }
  return cut
}

function binaryFault(
  { data, parameters }: InferTensor,
  sizeBytes: number,
  leftBytes: number,
): { readonly at: string; readonly detail: string } | undefined {
  if (data !== undefined) return { at: '/data', detail: 'must be left out beside binary_data_size' }
  if (parameters?.encoding !== undefined) {
    return { at: '/parameters/encoding', detail: 'must be left out beside binary_data_size' }
  }
  if (sizeBytes > leftBytes) {
    return {
      at: '/parameters/binary_data_size',
      detail: `is ${sizeBytes}, ${Math.max(0, leftBytes)} bytes are left after the JSON of a body with ${JSON_LENGTH_HEADER}`,
    }
  }
  return undefined
}

/** Joins an answer's body and headers: plain JSON unless bytes follow. */
export function joinBody({ response, binary }: EncodedInfer): {
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly headers: Readonly<Record<string, string>>
} {
  const text = JSON.stringify(response)
  if (binary.length === 0) return { body: text, headers: { 'content-type': 'application/json' } }
  const json = new TextEncoder().encode(text)
  const body = new Uint8Array(binary.reduce((sum, part) => sum + part.length, json.length))
  body.set(json)
  let offset = json.length
  for (const part of binary) {
    body.set(part, offset)
    offset += part.length
  }
  return {
    body,
    headers: {
      'content-type': 'application/octet-stream',
      [JSON_LENGTH_HEADER]: String(json.length),
    },
  }
}
