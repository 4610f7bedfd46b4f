/** Reads what an ONNX graph needs of a device: its largest weight, and whether it uses half floats. */
import { fields } from '#engine/runtime/onnx-external.ts'

export interface OnnxFacts {
  readonly largestTensorBytes: number
  readonly usesF16: boolean
}

/** `TensorProto.DataType.FLOAT16`: https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto3#L498 */
const FLOAT16 = 10

/** @throws {AppError} invalid_request for bytes that are not an ONNX graph */
export function readOnnxFacts(model: Uint8Array): OnnxFacts {
  let largestTensorBytes = 0
  let usesF16 = false
  for (const graph of children(model, 7)) {
    for (const tensor of children(graph, 5)) {
      const { sizeBytes, dataType } = readTensor(tensor)
      largestTensorBytes = Math.max(largestTensorBytes, sizeBytes)
      usesF16 ||= dataType === FLOAT16
    }
    // Inputs, outputs and intermediate values: ValueInfoProto.type.tensor_type.elem_type.
    for (const message of [11, 12, 13].flatMap((field) => children(graph, field)))
      for (const type of children(message, 2))
        for (const tensorType of children(type, 1)) usesF16 ||= numberOf(tensorType, 1) === FLOAT16
  }
  return { largestTensorBytes, usesF16 }
}

/** TensorProto: data type 2, raw data 9 or another list of values, or external data 13 with its length. */
function readTensor(tensor: Uint8Array): { sizeBytes: number; dataType: number | undefined } {
  const values = [4, 5, 7, 9, 10, 11].flatMap((field) => children(tensor, field))
  const inline = values.reduce((sum, { length }) => sum + length, 0)
  const outside = children(tensor, 13)
    .map(readEntry)
    .find(([key]) => key === 'length')
  return { sizeBytes: Math.max(inline, Number(outside?.[1] ?? 0)), dataType: numberOf(tensor, 2) }
}

function readEntry(entry: Uint8Array): [key: string, value: string] {
  const text = (field: number) => new TextDecoder().decode(children(entry, field)[0])
  return [text(1), text(2)]
}

function children(message: Uint8Array, wanted: number): Uint8Array[] {
  return [...fields(message)].flatMap(({ field, value }) =>
    field === wanted && value !== undefined ? [value] : [],
  )
}

function numberOf(message: Uint8Array, wanted: number): number | undefined {
  for (const { field, number } of fields(message)) if (field === wanted) return number
  return undefined
}
