/** Writes ONNX graphs: the few protobuf messages of onnx.proto3 that a language model needs. */
import { concatBytes } from 'viem'

/** Element types of TensorProto. https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto3#L483 */
export const ONNX_TYPES = { float: 1, uint8: 2, int32: 6, int64: 7, float16: 10 } as const
export type OnnxType = keyof typeof ONNX_TYPES

export interface OnnxTensor {
  readonly name: string
  readonly type: OnnxType
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
}

export interface OnnxValue {
  readonly name: string
  readonly type: OnnxType
  /** A number, or the name of a size that is known when it runs. */
  readonly dims: readonly (number | string)[]
}

export interface OnnxNode {
  readonly op: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Whole numbers are INT attributes, `{ float }` FLOAT ones. */
  readonly attributes?: Readonly<Record<string, number | { readonly float: number }>>
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly nodes: readonly OnnxNode[]
  readonly tensors: readonly OnnxTensor[]
}

export interface WrittenModel {
  readonly model: Uint8Array
  /** Bytes of the file beside it; empty when the weights are inside. */
  readonly external: Uint8Array
}

/** Weights over this size go to the file beside the graph, if there is one. */
const EXTERNAL_FROM_BYTES = 1024
const ALIGNMENT = 64

/** @param externalName name of the file beside the graph; undefined keeps all weights inside */
export function writeOnnx(graph: OnnxGraph, externalName?: string): WrittenModel {
  const external: Uint8Array[] = []
  let offset = 0
  const tensors = graph.tensors.map((tensor) => {
    if (externalName === undefined || tensor.bytes.length < EXTERNAL_FROM_BYTES)
      return message(5, ...tensorHead(tensor), bytes(9, tensor.bytes))
    const at = offset
    const padding = (ALIGNMENT - (tensor.bytes.length % ALIGNMENT)) % ALIGNMENT
    external.push(tensor.bytes, new Uint8Array(padding))
    offset += tensor.bytes.length + padding
    const place = { location: externalName, offset: at, length: tensor.bytes.length }
    const entries = Object.entries(place).map(([key, value]) =>
      message(13, text(1, key), text(2, String(value))),
    )
    return message(5, ...tensorHead(tensor), ...entries, varintField(14, 1))
  })
  const model = concat(
    varintField(1, 8),
    message(
      7,
      ...graph.nodes.map(writeNode),
      text(2, 'graph'),
      ...tensors,
      ...graph.inputs.map((value) => writeValue(11, value)),
      ...graph.outputs.map((value) => writeValue(12, value)),
    ),
    message(8, text(1, ''), varintField(2, 17)),
    message(8, text(1, 'com.microsoft'), varintField(2, 1)),
  )
  return { model, external: concat(...external) }
}

function tensorHead({ name, type, dims }: OnnxTensor): Uint8Array[] {
  return [
    ...dims.map((size) => varintField(1, size)),
    varintField(2, ONNX_TYPES[type]),
    text(8, name),
  ]
}

function writeNode({ op, domain, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return message(
    1,
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0] ?? op),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) =>
      typeof value === 'number'
        ? message(5, text(1, name), varintField(3, value), varintField(20, 2))
        : message(5, text(1, name), floatField(2, value.float), varintField(20, 1)),
    ),
    ...(domain === undefined ? [] : [text(7, domain)]),
  )
}

function writeValue(field: number, { name, type, dims }: OnnxValue): Uint8Array {
  const sizes = dims.map((size) =>
    message(1, typeof size === 'number' ? varintField(1, size) : text(2, size)),
  )
  const tensorType = message(1, varintField(1, ONNX_TYPES[type]), message(2, ...sizes))
  return message(field, text(1, name), message(2, tensorType))
}

function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return bytes(field, concat(...parts))
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(value))
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return concat(varint(field * 8 + 2), varint(value.length), value)
}

function varintField(field: number, value: number): Uint8Array {
  return concat(varint(field * 8), varint(value))
}

function floatField(field: number, value: number): Uint8Array {
  const four = new Uint8Array(4)
  new DataView(four.buffer).setFloat32(0, value, true)
  return concat(varint(field * 8 + 5), four)
}

function varint(value: number): Uint8Array {
  const out: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return Uint8Array.of(...out, Number(rest))
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(parts)
}
