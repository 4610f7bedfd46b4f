/** Compares two nodes' answers to one job: integers and bytes bit for bit, floats within a tolerance. */
import { sliceTensors, type Datatype, type TensorHeader } from '#shared/job/job.ts'
import type { Tensors } from '#shared/job/tensor.ts'

/** A pair of floats agrees within `absolute + relative × the larger magnitude`. */
export interface Tolerance {
  readonly absolute: number
  readonly relative: number
}

/** For floats of which nothing is declared: strangers' kernels. */
export const DEFAULT_TOLERANCE: Tolerance = { absolute: 1e-5, relative: 1e-3 }

/** From this measure on, a difference is gross: no device is off by that much. */
export const GROSS_MEASURE = 8

export interface Comparison {
  readonly outcome: 'agreed' | 'differed'
  /** The worst difference divided by its tolerance: at most 1 agrees. Infinite where nothing is tolerated. */
  readonly measure: number
  /** The output that is worst; undefined when all are equal. */
  readonly output: string | undefined
}

const FLOATS: ReadonlySet<Datatype> = new Set(['FP16', 'FP32', 'FP64'])

/** @param tolerances by output; undefined takes {@link DEFAULT_TOLERANCE}. It concerns floats only. */
export function compareTensors(
  first: Tensors,
  second: Tensors,
  tolerances: readonly (Tolerance | undefined)[] = [],
): Comparison {
  const equal: Comparison = { outcome: 'agreed', measure: 0, output: undefined }
  if (first.headers.length !== second.headers.length) return unlike(undefined)
  const parts = sliceTensors(first.headers, first.payload)
  const others = sliceTensors(second.headers, second.payload)
  return first.headers.reduce((worst, header, index) => {
    const pair = { header, other: second.headers[index] }
    const [a = NOTHING, b = NOTHING] = [parts[index], others[index]]
    const found = compareOne(pair, { a, b }, tolerances[index] ?? DEFAULT_TOLERANCE)
    return found.measure > worst.measure ? found : worst
  }, equal)
}

const NOTHING = new Uint8Array(0)

interface Pair {
  readonly header: TensorHeader
  readonly other: TensorHeader | undefined
}

interface Bytes {
  readonly a: Uint8Array
  readonly b: Uint8Array
}

function compareOne({ header, other }: Pair, { a, b }: Bytes, tolerance: Tolerance): Comparison {
  const { name, datatype, shape } = header
  if (other?.name !== name || other.datatype !== datatype) return unlike(name)
  if (other.shape.join() !== shape.join() || a.length !== b.length) return unlike(name)
  const measure = FLOATS.has(datatype)
    ? worstFloat(floatsOf(a, datatype), floatsOf(b, datatype), tolerance)
    : isEqual(a, b)
      ? 0
      : Infinity
  return { outcome: measure <= 1 ? 'agreed' : 'differed', measure, output: name }
}

function unlike(output: string | undefined): Comparison {
  return { outcome: 'differed', measure: Infinity, output }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index])
}

type Floats = Float16Array | Float32Array | Float64Array

/** Copied, so that any byte offset works. */
function floatsOf(bytes: Uint8Array, datatype: Datatype): Floats {
  const { buffer } = bytes.slice()
  if (datatype === 'FP16') return new Float16Array(buffer)
  return datatype === 'FP32' ? new Float32Array(buffer) : new Float64Array(buffer)
}

/** Equal values agree at any tolerance, infinities and NaN included. NaN and infinity agree with nothing else. */
function worstFloat(a: Floats, b: Floats, { absolute, relative }: Tolerance): number {
  let worst = 0
  for (let index = 0; index < a.length; index += 1) {
    const [x = 0, y = 0] = [a[index], b[index]]
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue
    const difference = Math.abs(x - y)
    const allowed = absolute + relative * Math.max(Math.abs(x), Math.abs(y))
    const measure = Number.isFinite(difference) && allowed > 0 ? difference / allowed : Infinity
    if (measure > worst) worst = measure
  }
  return worst
}
