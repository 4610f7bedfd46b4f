/** Writes an ONNX graph of one node as protobuf: https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto */

export interface GraphNode {
  readonly type: string
  readonly inputs: number
  readonly attributes: Readonly<Record<string, number>>
  /** Number of axes of each input and of the output. */
  readonly rank: number
  readonly outRank: number
  /** Whether the node takes its axis, the last one, as a second input. */
  readonly lastAxis: boolean
}

const FLOAT = 1
const INT64 = 7
const INT_ATTRIBUTE = 2
const OPSET = 18

/** Inputs are `i0` and `i1`, the output is `y`; sizes are free. */
export function encodeGraph(node: GraphNode): Uint8Array {
  const { type, inputs, attributes, rank, outRank, lastAxis } = node
  const names = Array.from({ length: inputs }, (_, i) => `i${i}`)
  const operands = lastAxis ? [...names, 'axes'] : names
  const attribute = ([name, value]: readonly [string, number]) =>
    field(5, join([text(1, name), varint(3, value), varint(20, INT_ATTRIBUTE)]))
  const encoded = join([
    ...operands.map((name) => text(1, name)),
    text(2, 'y'),
    text(4, type),
    ...Object.entries(attributes).map(attribute),
  ])
  const axes = join([varint(1, 1), varint(2, INT64), text(8, 'axes'), field(9, int64(-1))])
  const graph = join([
    field(1, encoded),
    text(2, 'one'),
    ...(lastAxis ? [field(5, axes)] : []),
    ...names.map((name) => field(11, valueInfo(name, rank))),
    field(12, valueInfo('y', outRank)),
  ])
  const opset = join([text(1, ''), varint(2, OPSET)])
  return join([varint(1, 8), field(7, graph), field(8, opset)])
}

function valueInfo(name: string, rank: number): Uint8Array {
  const dimensions = Array.from({ length: rank }, (_, i) => field(1, text(2, `${name}_${i}`)))
  const tensor = join([varint(1, FLOAT), field(2, join(dimensions))])
  return join([text(1, name), field(2, field(1, tensor))])
}

function text(number: number, value: string): Uint8Array {
  return field(number, new TextEncoder().encode(value))
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return join([digits(BigInt((number << 3) | 2)), digits(BigInt(bytes.length)), bytes])
}

function varint(number: number, value: number): Uint8Array {
  return join([digits(BigInt(number << 3)), digits(BigInt.asUintN(64, BigInt(value)))])
}

function digits(value: bigint): Uint8Array {
  const bytes: number[] = []
  let left = value
  while (left > 127n) {
    bytes.push(Number(left & 127n) | 128)
    left >>= 7n
  }
  return Uint8Array.of(...bytes, Number(left))
}

function int64(value: number): Uint8Array {
  return new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)
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
