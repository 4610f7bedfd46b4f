/** Finds the external files that an ONNX graph names, so that ONNX Runtime never opens a path itself. */
import { AppError } from '#shared/base/errors.ts'

/** Fields of onnx.proto3 that can lead to a tensor, by message. https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto3 */
type Message =
  | 'model'
  | 'graph'
  | 'training'
  | 'function'
  | 'node'
  | 'attribute'
  | 'sparse'
  | 'tensor'
const CHILDREN: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
}
const TENSOR_EXTERNAL_DATA = 13
const MAX_DEPTH = 32

/**
 * Lists every distinct `location` of external data that tensors of the graph and its subgraphs name.
 * @throws {AppError} invalid_request for bytes that are not an ONNX protobuf
 */
export function listExternalData(model: Uint8Array): string[] {
  const found = new Set<string>()
  walk(model, 'model', 0, found)
  return [...found]
}

function walk(bytes: Uint8Array, message: Message, depth: number, found: Set<string>): void {
  if (depth > MAX_DEPTH) throw broken('is nested too deeply')
  for (const { field, value } of fields(bytes)) {
    if (value === undefined) continue
    const child = CHILDREN[message][field]
    if (child !== undefined) walk(value, child, depth + 1, found)
    else if (message === 'tensor' && field === TENSOR_EXTERNAL_DATA) addLocation(value, found)
  }
}

/** Reads one StringStringEntryProto: key 1, value 2. */
function addLocation(entry: Uint8Array, found: Set<string>): void {
  const decoder = new TextDecoder()
  let key = ''
  let text = ''
  for (const { field, value } of fields(entry)) {
    if (value === undefined) continue
    if (field === 1) key = decoder.decode(value)
    else if (field === 2) text = decoder.decode(value)
  }
  if (key === 'location') found.add(text)
}

export interface Field {
  readonly field: number
  /** The bytes of a length-delimited field; undefined for numbers. */
  readonly value: Uint8Array | undefined
  readonly number: number | undefined
}

/** Yields the fields of one protobuf message, in order. @throws {AppError} invalid_request for malformed bytes */
export function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0
  const readVarint = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 2 ** 63) throw broken('ends inside a number')
      value += (byte & 0x7f) * shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = readVarint()
    const field = Math.floor(tag / 8)
    const wire = tag % 8
    const number = wire === 0 ? readVarint() : undefined
    if (wire === 1) at += 8
    else if (wire === 5) at += 4
    else if (wire !== 2 && wire !== 0) throw broken(`has wire type ${wire}`)
    const sizeBytes = wire === 2 ? readVarint() : 0
    if (at + sizeBytes > bytes.length) throw broken('ends inside a field')
    yield {
      field,
      value: wire === 2 ? bytes.subarray(at, (at += sizeBytes)) : undefined,
      number,
    }
  }
}

function broken(how: string): AppError {
  return new AppError('invalid_request', `A model file is not an ONNX graph: it ${how}.`)
}
