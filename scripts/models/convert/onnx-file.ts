/** Writes ONNX files: the few messages of onnx.proto that a converted graph needs, in protobuf's wire format. */

/** Element types by their number in `TensorProto.DataType`. */
export const ONNX_TYPE = { float: 1, int64: 7, float16: 10 } as const

export type Attribute = number | readonly number[] | string | { readonly float: number }

export interface OnnxNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, Attribute>>
}

export interface OnnxTensor {
  readonly name: string
  readonly type: number
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
}

export interface OnnxValue {
  readonly name: string
  readonly dims: readonly number[]
}

export interface OnnxGraph {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly weights: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
}

const IR_VERSION = 8
const OPSET = 17
const VARINT = 0
const FIXED32 = 5
const LENGTH = 2
/** `AttributeProto.AttributeType` */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const

/** Bytes of a `ModelProto`; field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/v1.16.0/onnx/onnx.proto). */
export function encodeOnnx(graph: OnnxGraph, producer: string): Uint8Array {
  return join([
    integer(1, IR_VERSION),
    text(2, producer),
    message(7, encodeGraph(graph)),
    message(8, integer(2, OPSET)),
  ])
}

function encodeGraph({ name, nodes, weights, inputs, outputs }: OnnxGraph): Uint8Array {
  return join([
    ...nodes.map((node) => message(1, encodeNode(node))),
    text(2, name),
    ...weights.map((tensor) => message(5, encodeTensor(tensor))),
    ...inputs.map((value) => message(11, encodeValue(value))),
    ...outputs.map((value) => message(12, encodeValue(value))),
  ])
}

function encodeNode({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return join([
    ...inputs.map((input) => text(1, input)),
    ...outputs.map((output) => text(2, output)),
    text(3, outputs[0] ?? op),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, encodeAttribute(name, value))),
  ])
}

function encodeAttribute(name: string, value: Attribute): Uint8Array {
  const head = text(1, name)
  if (typeof value === 'number') return join([head, integer(3, value), integer(20, ATTRIBUTE.int)])
  if (typeof value === 'string') return join([head, text(4, value), integer(20, ATTRIBUTE.string)])
  if ('float' in value) return join([head, float(2, value.float), integer(20, ATTRIBUTE.float)])
  return join([head, ...value.map((item) => integer(8, item)), integer(20, ATTRIBUTE.ints)])
}

function encodeTensor({ name, type, dims, bytes }: OnnxTensor): Uint8Array {
  return join([
    ...dims.map((size) => integer(1, size)),
    integer(2, type),
    text(8, name),
    message(9, bytes),
  ])
}

/** A float tensor of fixed shape, as `ValueInfoProto`. */
function encodeValue({ name, dims }: OnnxValue): Uint8Array {
  const shape = join(dims.map((size) => message(1, integer(1, size))))
  const tensorType = join([integer(1, ONNX_TYPE.float), message(2, shape)])
  return join([text(1, name), message(2, message(1, tensorType))])
}

function integer(field: number, value: number): Uint8Array {
  return join([varint((field << 3) | VARINT), varint(value)])
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setFloat32(0, value, true)
  return join([varint((field << 3) | FIXED32), bytes])
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value))
}

function message(field: number, bytes: Uint8Array): Uint8Array {
  return join([varint((field << 3) | LENGTH), varint(bytes.length), bytes])
}

/** Seven bits a byte, the lowest first; all our numbers are whole and not negative. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}
