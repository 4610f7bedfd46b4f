/**
 * Converts tensors from and to JSON: arrays of numbers, booleans or strings, nested or flat, or
 * base64 of little-endian bytes.
 */
import { DATATYPE_BYTES, type Datatype } from '#shared/job/job.ts'
import { encodeBytes, splitBytes } from '#shared/job/tensor.ts'
import { AppError, type FieldFault } from '#shared/base/errors.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'

export type TensorEncoding = 'json' | 'base64'

export interface ElementFault {
  /** Indices into `data`, as deep as it is nested; empty when the whole of `data` is wrong. */
  readonly path: readonly number[]
  readonly detail: string
}

type FixedDatatype = Exclude<Datatype, 'BYTES'>

const INTEGER_RANGE = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 2 ** 32 - 1],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
} as const

/**
 * Encodes a tensor's `data`: flat in row-major order, or nested exactly as its shape says.
 * @param shape compared with the data before anything is allocated
 */
export function encodeTensor(
  datatype: Datatype,
  data: unknown,
  options: { readonly shape: readonly number[]; readonly encoding: TensorEncoding },
): Uint8Array | ElementFault {
  if (options.encoding === 'base64') return fromBase64(data)
  if (!Array.isArray(data)) return whole('must be an array, or base64 with encoding "base64"')
  const items: unknown[] = data
  const { shape } = options
  const flat = unnest(items, shape)
  if (!Array.isArray(flat)) return flat
  const encoded = datatype === 'BYTES' ? encodeStrings(flat) : encodeNumbers(datatype, flat)
  if (encoded instanceof Uint8Array || flat === items) return encoded
  return { ...encoded, path: unravel(encoded.path[0] ?? 0, shape) }
}

/** Flattens data. Each level of nested data must be as long as its axis. */
export function unnest(data: unknown[], shape: readonly number[]): unknown[] | ElementFault {
  const elements = shape.reduce((product, size) => product * size, 1)
  if (!data.some(Array.isArray)) {
    if (data.length === elements) return data
    return whole(`has ${data.length} elements, its shape says ${elements}`)
  }
  const flat: unknown[] = []
  const visit = (value: unknown, path: readonly number[]): ElementFault | undefined => {
    const says = `its shape [${shape.join(',')}] says`
    const size = shape[path.length]
    if (size === undefined) return { path, detail: `is an array, ${says} an element` }
    if (!Array.isArray(value)) return { path, detail: `is no array, ${says} one of ${size}` }
    if (value.length !== size) return { path, detail: `has ${value.length} items, ${says} ${size}` }
    const isLast = path.length + 1 === shape.length
    for (const [index, item] of value.entries()) {
      if (isLast && !Array.isArray(item)) flat.push(item)
      else {
        const fault = visit(item, [...path, index])
        if (fault !== undefined) return fault
      }
    }
    return undefined
  }
  return visit(data, []) ?? flat
}

/** Indices in nested data of the element at a flat position. */
function unravel(position: number, shape: readonly number[]): number[] {
  const path: number[] = []
  let rest = position
  for (const size of shape.toReversed()) {
    path.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  return path
}

/** Decodes an answer's tensor to its `data` member: numbers, strings, or base64. */
export function decodeTensor(
  datatype: Datatype,
  bytes: Uint8Array,
  encoding: TensorEncoding,
): unknown {
  if (encoding === 'base64') return encodeBase64(bytes)
  if (datatype === 'BYTES') return decodeStrings(bytes)
  const width = DATATYPE_BYTES[datatype]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / width }, (_, i) => READ[datatype](view, i * width))
}

/** Converts a fault of one tensor into a fault of the request. */
export function faultAt(root: string, fault: ElementFault): FieldFault {
  return { pointer: [`${root}/data`, ...fault.path].join('/'), detail: fault.detail }
}

function whole(detail: string): ElementFault {
  return { path: [], detail }
}

function fromBase64(data: unknown): Uint8Array | ElementFault {
  if (typeof data !== 'string') return whole('must be a string of base64')
  return decodeBase64(data) ?? whole('is not base64, or was cut off')
}

function encodeStrings(items: readonly unknown[]): Uint8Array | ElementFault {
  const texts: string[] = []
  for (const [index, item] of items.entries()) {
    if (typeof item !== 'string')
      return { path: [index], detail: `must be a string, is ${show(item)}` }
    texts.push(item)
  }
  return encodeBytes(texts)
}

function decodeStrings(bytes: Uint8Array): string[] {
  const items = splitBytes(bytes)
  if (items === undefined) throw new AppError('internal', 'A node answered with broken framing.')
  const decoder = new TextDecoder()
  return items.map((item) => decoder.decode(item))
}

function encodeNumbers(
  datatype: FixedDatatype,
  items: readonly unknown[],
): Uint8Array | ElementFault {
  const width = DATATYPE_BYTES[datatype]
  const bytes = new Uint8Array(items.length * width)
  const view = new DataView(bytes.buffer)
  const write = WRITE[datatype]
  for (let index = 0; index < items.length; index += 1) {
    if (!write(view, index * width, items[index])) {
      return { path: [index], detail: `must be ${EXPECTED[datatype]}, is ${show(items[index])}` }
    }
  }
  return bytes
}

const EXPECTED: Readonly<Record<FixedDatatype, string>> = {
  BOOL: 'true or false',
  UINT8: 'an integer from 0 to 255',
  UINT16: 'an integer from 0 to 65535',
  UINT32: 'an integer from 0 to 4294967295',
  UINT64: 'an integer from 0 to 2^64 - 1, as a number up to 2^53 or as a decimal string',
  INT8: 'an integer from -128 to 127',
  INT16: 'an integer from -32768 to 32767',
  INT32: 'a 32-bit integer',
  INT64: 'a 64-bit integer, as a number up to 2^53 or as a decimal string',
  FP16: 'a finite number within 16-bit float range',
  FP32: 'a finite number within 32-bit float range',
  FP64: 'a finite number',
}

/** Writes one element; false when the value is not of the type. */
type Write = (view: DataView, at: number, value: unknown) => boolean

const WRITE: Readonly<Record<FixedDatatype, Write>> = {
  BOOL(view, at, value) {
    if (typeof value !== 'boolean') return false
    view.setUint8(at, Number(value))
    return true
  },
  UINT8: integer('UINT8', (view, at, value) => view.setUint8(at, value)),
  UINT16: integer('UINT16', (view, at, value) => view.setUint16(at, value, true)),
  UINT32: integer('UINT32', (view, at, value) => view.setUint32(at, value, true)),
  UINT64: bigInteger([0n, 2n ** 64n - 1n], (view, at, value) => view.setBigUint64(at, value, true)),
  INT8: integer('INT8', (view, at, value) => view.setInt8(at, value)),
  INT16: integer('INT16', (view, at, value) => view.setInt16(at, value, true)),
  INT32: integer('INT32', (view, at, value) => view.setInt32(at, value, true)),
  INT64: bigInteger([-(2n ** 63n), 2n ** 63n - 1n], (view, at, value) =>
    view.setBigInt64(at, value, true),
  ),
  FP16(view, at, value) {
    if (typeof value !== 'number' || !Number.isFinite(Math.f16round(value))) return false
    view.setFloat16(at, value, true)
    return true
  },
  FP64(view, at, value) {
    if (typeof value !== 'number' || !Number.isFinite(value)) return false
    view.setFloat64(at, value, true)
    return true
  },
  FP32(view, at, value) {
    if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) return false
    view.setFloat32(at, value, true)
    return true
  },
}

const READ: Readonly<Record<FixedDatatype, (view: DataView, at: number) => unknown>> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => plain(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => plain(view.getBigInt64(at, true)),
  FP16: (view, at) => view.getFloat16(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
  FP32: (view, at) => view.getFloat32(at, true),
}

/** A number where JSON is exact, otherwise its decimal digits. */
function plain(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
}

function bigInteger(
  [least, most]: readonly [bigint, bigint],
  set: (view: DataView, at: number, value: bigint) => void,
): Write {
  return (view, at, value) => {
    const isNumber = typeof value === 'number' && Number.isSafeInteger(value)
    const isText = typeof value === 'string' && /^-?\d{1,20}$/.test(value)
    if (!isNumber && !isText) return false
    const big = BigInt(value)
    if (big < least || big > most) return false
    set(view, at, big)
    return true
  }
}

function integer(
  datatype: keyof typeof INTEGER_RANGE,
  set: (view: DataView, at: number, value: number) => void,
): Write {
  const [least, most] = INTEGER_RANGE[datatype]
  return (view, at, value) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return false
    if (value < least || value > most) return false
    set(view, at, value)
    return true
  }
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'an array nested too deep'
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}
