/** The built-in reductions. They run over the outputs by index and in f64, so that the order of the answers does not matter. */
import { concatBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { DATATYPE_BYTES, type TensorHeader } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ReducedDatatype, Reduction } from '#worker/protocols/batch.ts'

export interface Reduced {
  readonly header: TensorHeader
  readonly bytes: Uint8Array
}

export interface Reducer {
  /** @throws {AppError} invalid_request for an output of another length than those before */
  add(output: Uint8Array): void
  /** `[elements]`: FP64 little-endian; for `concat`, the datatype of the outputs. */
  finish(): Reduced
}

type ReadElement = (view: DataView, offset: number) => number

const READ: Readonly<Record<ReducedDatatype, ReadElement>> = {
  UINT8: (view, at) => view.getUint8(at),
  INT8: (view, at) => view.getInt8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  INT16: (view, at) => view.getInt16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
}

/** Math.max and Math.min pass NaN on, so that no broken item is hidden. */
const FOLD: Readonly<Record<Exclude<Reduction, 'concat'>, (sum: number, next: number) => number>> =
  {
    sum: (sum, next) => sum + next,
    mean: (sum, next) => sum + next,
    max: Math.max,
    min: Math.min,
  }

export function createReducer(op: Reduction, datatype: ReducedDatatype): Reducer {
  return op === 'concat' ? createConcat(datatype) : createFold(op, datatype)
}

function createFold(op: Exclude<Reduction, 'concat'>, datatype: ReducedDatatype): Reducer {
  const [read, fold, width] = [READ[datatype], FOLD[op], DATATYPE_BYTES[datatype]]
  let totals: Float64Array<ArrayBuffer> | undefined
  let items = 0
  return {
    add(output) {
      const elements = countElements(output, datatype)
      if (elements * 8 > LIMITS.jobOutputBytes) throw tooLong(elements * 8)
      if (totals !== undefined && totals.length !== elements) {
        const detail = `item ${items} has ${elements} elements, earlier ones have ${totals.length}`
        throw new AppError('invalid_request', `The outputs cannot be reduced: ${detail}.`)
      }
      const view = new DataView(output.buffer, output.byteOffset, output.byteLength)
      const isFirst = totals === undefined
      totals ??= new Float64Array(elements)
      for (let i = 0; i < elements; i += 1) {
        const value = read(view, i * width)
        totals[i] = isFirst ? value : fold(totals[i] ?? 0, value)
      }
      items += 1
    },
    finish() {
      const elements = totals?.length ?? 0
      const out = new DataView(new ArrayBuffer(elements * 8))
      for (let i = 0; i < elements; i += 1) {
        const total = totals?.[i] ?? 0
        out.setFloat64(i * 8, op === 'mean' ? total / items : total, true)
      }
      return describe('FP64', elements, new Uint8Array(out.buffer))
    },
  }
}

function createConcat(datatype: ReducedDatatype): Reducer {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  return {
    add(output) {
      countElements(output, datatype)
      sizeBytes += output.length
      if (sizeBytes > LIMITS.jobOutputBytes) throw tooLong(sizeBytes)
      parts.push(output)
    },
    finish: () => describe(datatype, sizeBytes / DATATYPE_BYTES[datatype], concatBytes(parts)),
  }
}

function describe(datatype: ReducedDatatype, elements: number, bytes: Uint8Array): Reduced {
  return {
    header: { name: 'reduced', datatype, shape: [elements], sizeBytes: bytes.length },
    bytes,
  }
}

function countElements(output: Uint8Array, datatype: ReducedDatatype): number {
  const width = DATATYPE_BYTES[datatype]
  if (output.length % width === 0) return output.length / width
  throw new AppError(
    'invalid_request',
    `The outputs cannot be reduced: ${output.length} bytes are not a multiple of the size of ${datatype}.`,
  )
}

function tooLong(sizeBytes: number): AppError {
  return new AppError(
    'too_large',
    `The reduced output is at least ${sizeBytes} bytes, at most ${LIMITS.jobOutputBytes}.`,
  )
}
