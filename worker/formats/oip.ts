/**
 * Open Inference Protocol v2 (https://github.com/open-inference/open-inference-protocol) to and from model work.
 * One extension: a tensor with `parameters: { encoding: 'base64' }` carries its little-endian bytes as base64.
 */
import { z } from 'zod'
import { DATATYPE_BYTES, sliceTensors, type Datatype, type TensorHeader } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { ModelManifest, ModelTensor } from '#shared/model.ts'
import { checkTensors } from '#shared/tensor.ts'
import type { FieldFault } from '#shared/errors.ts'
import { invalidRequest } from './faults.ts'
import { ResidencyFields } from './residency.ts'
import { decodeTensor, encodeTensor, faultAt, type TensorEncoding } from './tensor-json.ts'

const Encoding = z.looseObject({ encoding: z.enum(['json', 'base64']).optional() }).optional()

export const InferTensor = z.looseObject({
  name: z.string().min(1).max(128),
  shape: z.array(z.int().min(0)).max(8),
  datatype: z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]]),
  /** Elements, nested or flat, in row-major order; or base64 of the bytes. */
  data: z.unknown(),
  parameters: Encoding,
})
export type InferTensor = z.infer<typeof InferTensor>

export const InferRequest = z.looseObject({
  id: z.string().max(128).optional(),
  inputs: z.array(InferTensor).min(1).max(16),
  /** Which outputs to answer with, and how; all of them as JSON when absent. */
  outputs: z
    .array(z.looseObject({ name: z.string(), parameters: Encoding }))
    .max(16)
    .optional(),
  ...ResidencyFields,
})
export type InferRequest = z.infer<typeof InferRequest>

export const InferResponse = z.strictObject({
  id: z.string(),
  model_name: z.string(),
  /** Digest of the manifest that answered. */
  model_version: z.string(),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      shape: z.array(z.int()),
      datatype: z.string(),
      data: z.unknown(),
      parameters: z.strictObject({ encoding: z.literal('base64') }).optional(),
    }),
  ),
})
export type InferResponse = z.infer<typeof InferResponse>

export interface TensorBatch {
  readonly headers: TensorHeader[]
  readonly payload: Uint8Array
}

/**
 * Tensors of a request, in the manifest's order whatever their order in the body.
 * @throws {AppError} invalid_request with a pointer to each fault, too_large
 */
export function decodeInfer(manifest: ModelManifest, request: InferRequest): TensorBatch {
  const faults: FieldFault[] = []
  const ordered = orderInputs(manifest.inputs, request.inputs, faults)
  const parts = ordered.map(({ tensor, index }) => {
    const elements = tensor.shape.reduce((product, size) => product * size, 1)
    if (elements > LIMITS.tensorElements) {
      faults.push({
        pointer: `/inputs/${index}/shape`,
        detail: `has ${elements} elements, at most ${LIMITS.tensorElements}`,
      })
      return new Uint8Array()
    }
    const encoding = tensor.parameters?.encoding ?? 'json'
    const bytes = encodeTensor(tensor.datatype, tensor.data, { elements, encoding })
    if (bytes instanceof Uint8Array) return bytes
    faults.push(faultAt(`/inputs/${index}`, bytes))
    return new Uint8Array()
  })
  if (faults.length > 0) throw invalidRequest(faults)
  const headers = ordered.map(({ tensor: { name, datatype, shape } }, i) => ({
    name,
    datatype,
    shape,
    sizeBytes: parts[i]?.length ?? 0,
  }))
  const payload = joinBytes(parts)
  checkTensors(manifest, headers, payload)
  return { headers, payload }
}

export function encodeInfer(
  answer: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
  about: { readonly id: string; readonly manifest: ModelManifest; readonly version: string },
  wanted: InferRequest['outputs'],
): InferResponse {
  const slices = sliceTensors(answer.outputs, answer.payload)
  const outputs = answer.outputs.flatMap((header, i) => {
    const choice = wanted?.find((output) => output.name === header.name)
    if (wanted !== undefined && choice === undefined) return []
    const encoding: TensorEncoding = choice?.parameters?.encoding ?? 'json'
    const { name, shape, datatype } = header
    const data = decodeTensor(datatype, slices[i] ?? new Uint8Array(), encoding)
    const tensor = { name, shape, datatype, data }
    return encoding === 'base64'
      ? [{ ...tensor, parameters: { encoding: 'base64' as const } }]
      : [tensor]
  })
  return { id: about.id, model_name: about.manifest.id, model_version: about.version, outputs }
}

/** @throws {AppError} invalid_request when a wanted output is none of the model's */
export function checkWanted(manifest: ModelManifest, wanted: InferRequest['outputs']): void {
  const faults = (wanted ?? []).flatMap(({ name }, index) =>
    manifest.outputs.some((output) => output.name === name)
      ? []
      : [{ pointer: `/outputs/${index}/name`, detail: `${manifest.id} has no output "${name}"` }],
  )
  if (faults.length > 0) throw invalidRequest(faults)
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

function orderInputs(
  expected: readonly ModelTensor[],
  given: readonly InferTensor[],
  faults: FieldFault[],
): { tensor: InferTensor; index: number }[] {
  for (const [index, { name }] of given.entries()) {
    const isKnown = expected.some((tensor) => tensor.name === name)
    const isFirst = given.findIndex((tensor) => tensor.name === name) === index
    if (!isKnown) faults.push({ pointer: `/inputs/${index}/name`, detail: `no input "${name}"` })
    if (!isFirst) faults.push({ pointer: `/inputs/${index}/name`, detail: `"${name}" came twice` })
  }
  return expected.flatMap(({ name, datatype }) => {
    const index = given.findIndex((tensor) => tensor.name === name)
    const tensor = given[index]
    if (tensor === undefined) {
      faults.push({ pointer: '/inputs', detail: `input "${name}" is missing` })
      return []
    }
    if (tensor.datatype !== datatype) {
      faults.push({
        pointer: `/inputs/${index}/datatype`,
        detail: `is ${tensor.datatype}, expected ${datatype}`,
      })
      return []
    }
    return [{ tensor, index }]
  })
}
