/**
 * Converts Open Inference Protocol v2 (https://github.com/open-inference/open-inference-protocol)
 * to and from model work. Tensors come as JSON, as bytes after the JSON (`oip-binary.ts`), or as
 * base64 inside it, which is our extension.
 */
import { concatBytes } from 'viem'
import { z } from 'zod'
import { DATATYPE_BYTES, sliceTensors, type Datatype, type TensorHeader } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { manifestDigest, type ModelManifest, type ModelTensor } from '#shared/job/model.ts'
import { checkTensors, countUnits } from '#shared/job/tensor.ts'
import type { FieldFault } from '#shared/base/errors.ts'
import { invalidRequest } from '#worker/body/faults.ts'
import { encodeFiles } from './file-input.ts'
import { cutBinary } from './oip-binary.ts'
import { ResidencyFields } from '#worker/body/residency.ts'
import { decodeTensor, encodeTensor, faultAt } from '#worker/body/tensor-json.ts'

const Encoding = z.enum(['json', 'base64'])

/** Unknown parameters could change what is asked for, so they are refused. */
export const InputParameters = z.strictObject({
  encoding: Encoding.optional(),
  /** Number of this tensor's bytes after the JSON, instead of `data`. */
  binary_data_size: z.int().min(0).max(LIMITS.requestBodyBytes).optional(),
})

export const OutputParameters = z.strictObject({
  encoding: Encoding.optional(),
  /** True if this output is sent as bytes after the JSON. */
  binary_data: z.boolean().optional(),
})

export const RequestParameters = z.strictObject({
  /** True if outputs are sent as bytes after the JSON by default. */
  binary_data_output: z.boolean().optional(),
})

export const InferTensor = z.strictObject({
  name: z.string().min(1).max(128),
  shape: z.array(z.int().min(0)).max(8),
  datatype: z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]]),
  /** Elements, nested or flat, in row-major order, or base64 of the bytes; absent with `binary_data_size`. */
  data: z.unknown().optional(),
  parameters: InputParameters.optional(),
})
export type InferTensor = z.infer<typeof InferTensor>

/** Loose; `parseOpenBody` judges unknown members. */
export const InferRequest = z.looseObject({
  id: z.string().max(128).optional(),
  /** Repeats the path, and must equal it. */
  model_name: z.string().max(128).optional(),
  model_version: z.string().max(128).optional(),
  inputs: z.array(InferTensor).min(1).max(16),
  /** Which outputs to return, and how; all as JSON when absent or empty. */
  outputs: z
    .array(z.strictObject({ name: z.string(), parameters: OutputParameters.optional() }))
    .max(16)
    .optional(),
  parameters: RequestParameters.optional(),
  ...ResidencyFields,
})
export type InferRequest = z.infer<typeof InferRequest>

export const InferResponse = z.strictObject({
  id: z.string(),
  model_name: z.string(),
  /** Digest of the manifest. */
  model_version: z.string(),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      shape: z.array(z.int()),
      datatype: z.string(),
      /** Absent when the bytes follow the JSON. */
      data: z.unknown().optional(),
      parameters: z
        .strictObject({
          encoding: z.literal('base64').optional(),
          binary_data_size: z.int().min(0).optional(),
        })
        .optional(),
    }),
  ),
})
export type InferResponse = z.infer<typeof InferResponse>

/** An answer's JSON, and the bytes that follow it. */
export interface EncodedInfer {
  readonly response: InferResponse
  readonly binary: readonly Uint8Array[]
}

/** A request's tensors: their headers, and their bytes in the same order. */
export interface RequestTensors {
  readonly headers: TensorHeader[]
  readonly payload: Uint8Array
}

/**
 * Decodes a request's tensors, in the manifest's order.
 * @param binary the bytes after the JSON
 * @throws {AppError} invalid_request with a pointer to each fault, too_large
 */
export function decodeInfer(
  manifest: ModelManifest,
  request: InferRequest,
  binary: Uint8Array = new Uint8Array(),
): RequestTensors {
  const faults: FieldFault[] = []
  const cut = cutBinary(request.inputs, binary, faults)
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
    const bytes = encodeFiles(manifest, tensor, cut[index]) ?? cut[index] ?? encodeData(tensor)
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
  const payload = concatBytes(parts)
  checkTensors(manifest, headers, payload)
  return { headers, payload }
}

/** A model job's work, and the most that it can cost. */
export function priceModel(manifest: ModelManifest, { headers, payload }: RequestTensors) {
  const digest = manifestDigest(manifest)
  return {
    work: { kind: 'model' as const, model: manifest.id, digest, inputs: headers },
    payload,
    units: countUnits(manifest, headers),
    priceMicroUsd: manifest.priceMicroUsd,
  }
}

export function encodeInfer(
  answer: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
  about: { readonly id: string; readonly manifest: ModelManifest; readonly version: string },
  { outputs: wanted = [], parameters }: Pick<InferRequest, 'outputs' | 'parameters'>,
): EncodedInfer {
  const slices = sliceTensors(answer.outputs, answer.payload)
  const binary: Uint8Array[] = []
  const outputs = answer.outputs.flatMap<InferResponse['outputs'][number]>(
    ({ name, shape, datatype }, i) => {
      const choice = wanted.find((output) => output.name === name)
      if (wanted.length > 0 && choice === undefined) return []
      const bytes = slices[i] ?? new Uint8Array()
      const { encoding, binary_data: isBinary = parameters?.binary_data_output ?? false } =
        choice?.parameters ?? {}
      // An output's own encoding takes precedence over the request's default.
      if (isBinary && encoding === undefined) {
        binary.push(bytes)
        return [{ name, shape, datatype, parameters: { binary_data_size: bytes.length } }]
      }
      const data = decodeTensor(datatype, bytes, encoding ?? 'json')
      const tensor = { name, shape, datatype, data }
      return encoding === 'base64' ? [{ ...tensor, parameters: { encoding } }] : [tensor]
    },
  )
  const { id, manifest, version } = about
  return { response: { id, model_name: manifest.id, model_version: version, outputs }, binary }
}

/** @throws {AppError} invalid_request when a wanted output is unknown, repeated, or wanted in two encodings */
export function checkWanted(manifest: ModelManifest, wanted: InferRequest['outputs'] = []): void {
  const faults = wanted.flatMap(({ name, parameters }, index) => {
    const root = `/outputs/${index}`
    if (!manifest.outputs.some((output) => output.name === name))
      return [{ pointer: `${root}/name`, detail: `${manifest.id} has no output "${name}"` }]
    if (wanted.findIndex((output) => output.name === name) !== index)
      return [{ pointer: `${root}/name`, detail: `"${name}" appears twice` }]
    if (parameters?.binary_data !== true || parameters.encoding === undefined) return []
    const detail = 'must be left out beside "binary_data": true'
    return [{ pointer: `${root}/parameters/encoding`, detail }]
  })
  if (faults.length > 0) throw invalidRequest(faults)
}

/**
 * Checks that name and version in the body equal those in the path.
 * @throws {AppError} invalid_request
 */
export function checkNamed(
  { model_name: name, model_version: version }: InferRequest,
  { manifest, digest }: { readonly manifest: ModelManifest; readonly digest: string },
): void {
  const faults: FieldFault[] = []
  const compare = (pointer: string, said: string | undefined, path: string) => {
    if (said !== undefined && said !== path)
      faults.push({ pointer, detail: `is "${said}", the path says ${path}` })
  }
  compare('/model_name', name, manifest.id)
  compare('/model_version', version, digest)
  if (faults.length > 0) throw invalidRequest(faults)
}

function encodeData({ datatype, data, shape, parameters }: InferTensor) {
  return encodeTensor(datatype, data, { shape, encoding: parameters?.encoding ?? 'json' })
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
    if (!isFirst) faults.push({ pointer: `/inputs/${index}/name`, detail: 'appears twice' })
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
