/** Tensors as bytes: BYTES framing, and the check of tensors that Worker, hub and node share. */
import { AppError, faultsError } from '#shared/base/errors.ts'
import {
  DATATYPE_BYTES,
  elementsOf,
  sliceTensors,
  totalBytes,
  type Datatype,
  type TensorHeader,
} from './job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelManifest, ModelTensor } from './model.ts'

/** One tensor's shape, and its little-endian row-major bytes. */
export interface TensorValue {
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/**
 * Checks a request's tensors against the manifest's inputs: names, types, shapes, sizes, BYTES framing, finite floats.
 * @throws {AppError} invalid_request with one fault per tensor (pointer `/inputs/N…`), too_large
 */
export function checkTensors(
  manifest: ModelManifest,
  headers: readonly TensorHeader[],
  payload: Uint8Array,
): void {
  checkAgainst(
    manifest.inputs,
    { headers, payload },
    { root: 'inputs', least: 1, sizes: new Map() },
  )
  const first = headers[0]?.shape[0] ?? 0
  if (manifest.unit === 'input' && first > LIMITS.embeddingInputs)
    throw new AppError(
      'too_large',
      `${first} elements in one request; at most ${LIMITS.embeddingInputs} are taken.`,
    )
}

/**
 * Checks an answer against the manifest's outputs. A free size that an input has, too, must equal the input's.
 * @throws {AppError} invalid_request
 */
export function checkOutputs(
  manifest: ModelManifest,
  inputs: readonly TensorHeader[],
  { headers, payload }: Tensors,
): void {
  const sizes: Sizes = new Map()
  for (const [index, { shape }] of manifest.inputs.entries())
    for (const [axis, name] of shape.entries())
      if (typeof name === 'string') sizes.set(name, inputs[index]?.shape[axis] ?? 0)
  checkAgainst(manifest.outputs, { headers, payload }, { root: 'outputs', least: 0, sizes })
}

/** Billed units of a request that passed {@link checkTensors}. */
export function countUnits(manifest: ModelManifest, headers: readonly TensorHeader[]): number {
  return manifest.unit === 'request' ? 1 : (headers[0]?.shape[0] ?? 1)
}

const ENCODER = new TextEncoder()

/** Frames texts or byte strings as a BYTES tensor: each a little-endian uint32 length and that many bytes. */
export function encodeBytes(items: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = items.map((item) => (typeof item === 'string' ? ENCODER.encode(item) : item))
  const out = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0))
  const view = new DataView(out.buffer)
  let offset = 0
  for (const part of parts) {
    view.setUint32(offset, part.length, true)
    out.set(part, offset + 4)
    offset += 4 + part.length
  }
  return out
}

/** Cuts a BYTES tensor into its elements, without copying; undefined when the framing is broken. */
export function splitBytes(bytes: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const items: Uint8Array[] = []
  let offset = 0
  while (offset < bytes.length) {
    if (offset + 4 > bytes.length) return undefined
    const end = offset + 4 + view.getUint32(offset, true)
    if (end > bytes.length) return undefined
    items.push(bytes.subarray(offset + 4, end))
    offset = end
  }
  return items
}

/** The texts of a BYTES tensor. @throws {AppError} invalid_request for broken framing or bytes that are not UTF-8 */
export function decodeTexts(bytes: Uint8Array): string[] {
  const items = splitBytes(bytes)
  if (items === undefined) throw new AppError('invalid_request', 'BYTES framing is broken.')
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  try {
    return items.map((item) => decoder.decode(item))
  } catch (cause) {
    throw new AppError('invalid_request', 'A BYTES element is not UTF-8 text.', { cause })
  }
}

/** The numbers of an FP32 tensor, copied so that any byte offset works. */
export function decodeFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer)
}

export interface Tensors {
  readonly headers: readonly TensorHeader[]
  readonly payload: Uint8Array
}

/** Known values of the free sizes, by name. */
type Sizes = Map<string, number>

interface Side {
  readonly root: 'inputs' | 'outputs'
  /** The least value of a free size; an answer may be empty. */
  readonly least: 0 | 1
  readonly sizes: Sizes
}

function checkAgainst(
  tensors: readonly ModelTensor[],
  { headers, payload }: Tensors,
  side: Side,
): void {
  const { root } = side
  const described = totalBytes(headers)
  if (headers.length !== tensors.length || described !== payload.length)
    throw faultsError([
      {
        pointer: `/${root}`,
        detail:
          headers.length === tensors.length
            ? `headers describe ${described} bytes, ${payload.length} came`
            : `expected ${tensors.map((t) => t.name).join(', ')}`,
      },
    ])
  const slices = sliceTensors(headers, payload)
  const faults = tensors.flatMap((tensor, index) => {
    const header = headers[index]
    const bytes = slices[index]
    const fault = header && bytes ? tensorFault(tensor, header, { ...side, bytes }) : undefined
    return fault === undefined
      ? []
      : [{ pointer: `/${root}/${index}${fault.at}`, detail: fault.detail }]
  })
  if (faults.length > 0) throw faultsError(faults)
}

interface TensorFault {
  readonly at: string
  readonly detail: string
}

function tensorFault(
  tensor: ModelTensor,
  header: TensorHeader,
  { bytes, least, sizes }: Side & { readonly bytes: Uint8Array },
): TensorFault | undefined {
  const { name, datatype, shape } = header
  if (name !== tensor.name)
    return { at: '/name', detail: `is ${JSON.stringify(name)}, expected "${tensor.name}"` }
  if (datatype !== tensor.datatype)
    return { at: '/datatype', detail: `is ${datatype}, expected ${tensor.datatype}` }
  const expected = tensor.shape.map((size) => sizes.get(String(size)) ?? size)
  if (!fits(shape, expected, least)) {
    const free = expected.some((size) => typeof size === 'string')
    const names = free ? `, a name being any size from ${least}` : ''
    return {
      at: '/shape',
      detail: `is [${shape.join(',')}], expected [${expected.join(',')}]${names}`,
    }
  }
  for (const [axis, size] of expected.entries())
    if (typeof size === 'string') sizes.set(size, shape[axis] ?? 0)
  const elements = elementsOf(shape)
  if (elements > LIMITS.tensorElements)
    return { at: '/shape', detail: `has ${elements} elements, at most ${LIMITS.tensorElements}` }
  return datatype === 'BYTES'
    ? bytesFault(elements, bytes, tensor.maxBytes ?? LIMITS.textBytes)
    : numbersFault(datatype, elements, bytes)
}

/** Two axes with the same new name must have the same size. */
function fits(shape: readonly number[], expected: ModelTensor['shape'], least: number): boolean {
  const first = (size: string) => shape[expected.indexOf(size)] ?? 0
  return (
    shape.length === expected.length &&
    expected.every((size, axis) =>
      typeof size === 'string'
        ? shape[axis] === first(size) && first(size) >= least
        : size === shape[axis],
    )
  )
}

function bytesFault(
  elements: number,
  bytes: Uint8Array,
  maxBytes: number,
): TensorFault | undefined {
  const items = splitBytes(bytes)
  if (items === undefined) return { at: '/data', detail: 'BYTES framing is broken' }
  if (items.length !== elements)
    return { at: '/data', detail: `has ${items.length} elements, its shape says ${elements}` }
  const long = items.findIndex((item) => item.length > maxBytes)
  return long === -1
    ? undefined
    : { at: `/data/${long}`, detail: `is longer than ${maxBytes} bytes` }
}

function numbersFault(
  datatype: Exclude<Datatype, 'BYTES'>,
  elements: number,
  bytes: Uint8Array,
): TensorFault | undefined {
  const expected = elements * DATATYPE_BYTES[datatype]
  if (bytes.length !== expected)
    return { at: '/data', detail: `is ${bytes.length} bytes, its shape and type say ${expected}` }
  const wild = findNonFinite(datatype, bytes)
  return wild === -1 ? undefined : { at: `/data/${wild}`, detail: 'is NaN or infinite' }
}

/** Exponent bits of the two highest bytes of a little-endian float; all ones mean NaN or infinity. */
const EXPONENT_MASKS: Readonly<Partial<Record<Datatype, readonly [number, number]>>> = {
  FP16: [0x7c, 0],
  FP32: [0x7f, 0x80],
  FP64: [0x7f, 0xf0],
}

/** Index of the first NaN or infinity; -1 when every value is finite, and for integers. */
export function findNonFinite(datatype: Datatype, bytes: Uint8Array): number {
  const masks = EXPONENT_MASKS[datatype]
  if (masks === undefined) return -1
  const [high, low] = masks
  const width = DATATYPE_BYTES[datatype]
  for (let at = width - 1; at < bytes.length; at += width)
    if (((bytes[at] ?? 0) & high) === high && ((bytes[at - 1] ?? 0) & low) === low)
      return (at - width + 1) / width
  return -1
}
