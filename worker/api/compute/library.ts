/** Converts the tensors of a library kernel to and from library work. */
import { concatBytes } from 'viem'
import { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import {
  DATATYPE_BYTES,
  sliceTensors,
  type Datatype,
  type LibraryWork,
  type TensorHeader,
} from '#shared/job/job.ts'
import { findNonFinite, resolveJob, type ResolvedJob } from '#shared/kernels/kernels.ts'
import { invalidRequest } from '#worker/body/faults.ts'
import { ResidencyFields } from '#worker/body/residency.ts'
import { decodeTensor, encodeTensor, faultAt } from '#worker/body/tensor-json.ts'

const LibraryTensor = z.strictObject({
  name: z.string().min(1).max(128),
  datatype: z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]]),
  shape: z.array(z.int().min(0)).max(8),
  /** Elements, nested or flat, in row-major order. */
  data: z.array(z.unknown()).optional(),
  /** The little-endian bytes of the elements, instead of `data`. */
  base64: z.string().optional(),
})

export const LibraryRequest = z.strictObject({
  /** Name and version of one of `GET /v1/kernels`. */
  kernel: z.string().min(1).max(64),
  inputs: z.array(LibraryTensor).min(1).max(8),
  params: z
    .record(z.string().max(32), z.union([z.number(), z.string().max(64), z.boolean()]))
    .default({}),
  /** Encoding of the answer's tensors. @default the encoding of the first input */
  encoding: z.enum(['json', 'base64']).optional(),
  ...ResidencyFields,
})
export type LibraryRequest = z.infer<typeof LibraryRequest>

export const LibraryResponse = z.strictObject({
  id: z.string(),
  kernel: z.string(),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      datatype: z.string(),
      shape: z.array(z.int()),
      data: z.array(z.number()).optional(),
      base64: z.base64().optional(),
    }),
  ),
  /** Id of the receipt: `GET /v1/receipts/{id}`. */
  receipt: Bytes32,
})
export type LibraryResponse = z.infer<typeof LibraryResponse>

export interface DecodedLibrary {
  readonly work: LibraryWork
  readonly payload: Uint8Array
  readonly resolved: ResolvedJob
}

/**
 * Checks shapes and parameters before any element is read.
 * @throws {AppError} not_found, too_large, invalid_request with a pointer to each fault
 */
export function decodeLibrary(request: LibraryRequest): DecodedLibrary {
  const { kernel, inputs, params } = request
  const resolved = resolveJob({ kernel, inputs, params })
  const faults: FieldFault[] = []
  const parts = resolved.inputs.map((header) => {
    const index = inputs.findIndex(({ name }) => name === header.name)
    const bytes = readInput(inputs[index], header)
    if (bytes instanceof Uint8Array) return bytes
    // The pointer names the member that the caller wrote.
    const root = `/inputs/${index}`
    const isBase64 = inputs[index]?.base64 !== undefined
    const { pointer, detail } = faultAt(root, bytes)
    faults.push({ pointer: isBase64 ? `${root}/base64` : pointer, detail })
    return new Uint8Array()
  })
  if (faults.length > 0) throw invalidRequest(faults)
  const work: LibraryWork = {
    kind: 'library',
    kernel: resolved.spec.name,
    digest: resolved.digest,
    inputs: [...resolved.inputs],
    params: { ...resolved.params },
  }
  return { work, payload: concatBytes(parts), resolved }
}

export function encodeLibrary(
  answer: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
  about: { readonly id: string; readonly receipt: Bytes32 },
  request: LibraryRequest,
): LibraryResponse {
  const encoding = request.encoding ?? (request.inputs[0]?.base64 === undefined ? 'json' : 'base64')
  const slices = sliceTensors(answer.outputs, answer.payload)
  const outputs = answer.outputs.map(({ name, datatype, shape }, i) => {
    const data = decodeTensor(datatype, slices[i] ?? new Uint8Array(), encoding)
    return { name, datatype, shape, [encoding === 'json' ? 'data' : 'base64']: data }
  })
  return { id: about.id, kernel: request.kernel, outputs, receipt: about.receipt }
}

/** Reads a tensor's bytes, which must fit its shape and hold only finite floats. */
function readInput(
  tensor: LibraryRequest['inputs'][number] | undefined,
  { datatype, shape, sizeBytes }: TensorHeader,
): ReturnType<typeof encodeTensor> {
  const { data, base64 } = tensor ?? {}
  if ((data === undefined) === (base64 === undefined))
    return { path: [], detail: 'either "data" or "base64" must be given, and not both' }
  const bytes =
    base64 === undefined
      ? encodeTensor(datatype, data, { shape, encoding: 'json' })
      : encodeTensor(datatype, base64, { shape, encoding: 'base64' })
  if (!(bytes instanceof Uint8Array)) return bytes
  if (bytes.length !== sizeBytes)
    return { path: [], detail: `is ${bytes.length} bytes, its shape says ${sizeBytes}` }
  const wild = findNonFinite(datatype, bytes)
  return wild === -1 ? bytes : { path: [], detail: `element ${wild} is NaN or infinite` }
}
