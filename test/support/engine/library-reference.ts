/** Computes each library kernel on the CPU in double precision, by another algorithm where there is one. */
import { convolutionShape, type ConvolutionShape } from '#engine/kernels/library/convolution.ts'
import { transformOf } from '#engine/kernels/library/fft.ts'
import { binScale } from '#engine/kernels/library/histogram.ts'
import { rowsOf } from '#engine/kernels/library/kernel.ts'
import { matmulShape } from '#engine/kernels/library/matmul.ts'
import type { ResolvedJob } from '#shared/kernels/kernels.ts'

export type NumberArray = Float64Array | Float32Array | Int32Array | Uint32Array

type Reference = (
  job: ResolvedJob,
  inputs: readonly NumberArray[],
) => {
  readonly outputs: readonly NumberArray[]
  /** Errors are given relative to this; the specification defines it. */
  readonly scale: number
}

const convolution: Reference = (job, [x = new Float32Array(), w = new Float32Array()]) => {
  const shape = convolutionShape(job)
  const { batch, outChannels, out } = shape
  const y = new Float64Array(batch * outChannels * out[0] * out[1])
  let scale = 0
  for (const at of y.keys()) {
    const { sum, absolute } = outputAt(shape, { x, w, at })
    y[at] = sum
    scale = Math.max(scale, absolute)
  }
  return { outputs: [y], scale }
}

const fft: Reference = (job, [x = new Float32Array()]) => {
  const { n, batch, isReal, isInverse } = transformOf(job)
  const kept = isReal ? Math.floor(n / 2) + 1 : n
  const y = new Float64Array(batch * kept * 2)
  let scale = 0
  for (let row = 0; row < batch; row += 1) {
    const at = row * n
    const re = Float64Array.from({ length: n }, (_, i) => x[isReal ? at + i : 2 * (at + i)] ?? 0)
    const im = Float64Array.from({ length: n }, (_, i) => (isReal ? 0 : (x[2 * (at + i) + 1] ?? 0)))
    const divisor = isInverse ? n : 1
    scale = Math.max(scale, (sumOfAbsolutes(re) + sumOfAbsolutes(im)) / divisor)
    const [outRe, outIm] = recursive(re, im, isInverse ? 1 : -1)
    for (let k = 0; k < kept; k += 1) {
      y[2 * (row * kept + k)] = (outRe[k] ?? 0) / divisor
      y[2 * (row * kept + k) + 1] = (outIm[k] ?? 0) / divisor
    }
  }
  return { outputs: [y], scale }
}

const histogram: Reference = ({ params }, [x = new Float32Array()]) => {
  const bins = Number(params.bins)
  const [least, most] = [Math.fround(Number(params.min)), Math.fround(Number(params.max))]
  const scale = Math.fround(binScale(least, most, bins))
  const counts = new Uint32Array(bins)
  for (const value of x) {
    if (value < least || value > most) continue
    // Rounds each step as the device does, so that a value near an edge falls into the same bin.
    const bin = Math.min(Math.floor(Math.fround(Math.fround(value - least) * scale)), bins - 1)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return { outputs: [counts], scale: 0 }
}

const matmul: Reference = (job, [a = new Float32Array(), b = new Float32Array()]) => {
  const { batch, m, n, k } = matmulShape(job)
  const c = new Float64Array(batch * m * n)
  const largest = new Float64Array(batch * m * n)
  for (let row = 0; row < batch * m; row += 1)
    for (let inner = 0; inner < k; inner += 1) {
      const value = a[row * k + inner] ?? 0
      const from = (Math.floor(row / m) * k + inner) * n
      for (let column = 0; column < n; column += 1) {
        const product_ = value * (b[from + column] ?? 0)
        c[row * n + column] = (c[row * n + column] ?? 0) + product_
        largest[row * n + column] = (largest[row * n + column] ?? 0) + Math.abs(product_)
      }
    }
  return { outputs: [c], scale: largest.reduce((most, sum) => Math.max(most, sum), 0) }
}

const reduce: Reference = (job: ResolvedJob, [x = new Float32Array()]) => {
  const { rows, length } = rowsOf(job.inputs[0]?.shape ?? [])
  const { op } = job.params
  let scale = 0
  const y = Float64Array.from({ length: rows }, (_, row) => {
    const values = x.subarray(row * length, (row + 1) * length)
    if (op === 'min' || op === 'max') {
      let best = values[0] ?? NaN
      for (const value of values)
        best = op === 'min' ? Math.min(best, value) : Math.max(best, value)
      return best
    }
    let sum = 0
    for (const value of values) sum += value
    const divisor = op === 'mean' ? length : 1
    scale = Math.max(scale, sumOfAbsolutes(values) / divisor)
    return sum / divisor
  })
  return { outputs: [y], scale }
}

const scan: Reference = ({ inputs, params }, [x = new Float32Array()]) => {
  const { rows, length } = rowsOf(inputs[0]?.shape ?? [])
  const isFloat = inputs[0]?.datatype === 'FP32'
  const wrap = inputs[0]?.datatype === 'INT32' ? (v: number) => v | 0 : (v: number) => v >>> 0
  const y = isFloat
    ? new Float64Array(x.length)
    : new (x.constructor as Uint32ArrayConstructor)(x.length)
  let scale = 0
  for (let row = 0; row < rows; row += 1) {
    let sum = 0
    for (let at = row * length; at < (row + 1) * length; at += 1) {
      const next = isFloat ? sum + (x[at] ?? 0) : wrap(sum + (x[at] ?? 0))
      y[at] = params.exclusive === true ? sum : next
      sum = next
    }
    scale = Math.max(scale, sumOfAbsolutes(x, row * length, (row + 1) * length))
  }
  return { outputs: [y], scale }
}

const softmax: Reference = ({ inputs }, [x = new Float32Array()]) => {
  const { rows, length } = rowsOf(inputs[0]?.shape ?? [])
  const y = new Float64Array(rows * length)
  for (let row = 0; row < rows; row += 1) {
    const values = x.subarray(row * length, (row + 1) * length)
    let most = -Infinity
    for (const value of values) most = Math.max(most, value)
    let sum = 0
    for (const value of values) sum += Math.exp(value - most)
    for (const [i, value] of values.entries()) y[row * length + i] = Math.exp(value - most) / sum
  }
  return { outputs: [y], scale: y.reduce((largest, value) => Math.max(largest, value), 0) }
}

const sort: Reference = ({ params }: ResolvedJob, [keys = new Float32Array()]) => {
  const descending = params.descending === true
  const key = (i: number) => keys[i] ?? 0
  // Object.is distinguishes the two zeroes, as their bits do.
  const rank = (i: number) => (Object.is(key(i), -0) ? -1 : key(i) === 0 ? 1 : 0)
  const compare = (i: number, j: number) => key(i) - key(j) || rank(i) - rank(j)
  const order = Uint32Array.from(keys.keys())
  order.sort((i, j) => (descending ? compare(j, i) : compare(i, j)) || i - j)
  const sorted = keys.slice()
  for (const [at, i] of order.entries()) sorted[at] = key(i)
  return { outputs: [sorted, order], scale: 0 }
}

function outputAt(
  shape: ConvolutionShape,
  {
    x,
    w,
    at,
  }: { readonly x: ArrayLike<number>; readonly w: ArrayLike<number>; readonly at: number },
): { sum: number; absolute: number } {
  const { channels, outChannels, size, out, taps, stride, padding, dilation } = shape
  const column = at % out[1]
  const line = Math.floor(at / out[1]) % out[0]
  const channelOut = Math.floor(at / out[1] / out[0]) % outChannels
  const image = Math.floor(at / out[1] / out[0] / outChannels)
  let sum = 0
  let absolute = 0
  for (let channel = 0; channel < channels; channel += 1)
    for (let high = 0; high < taps[0]; high += 1)
      for (let wide = 0; wide < taps[1]; wide += 1) {
        const row = line * stride[0] - padding[0] + high * dilation
        const from = column * stride[1] - padding[1] + wide * dilation
        if (row < 0 || row >= size[0] || from < 0 || from >= size[1]) continue
        const value = x[((image * channels + channel) * size[0] + row) * size[1] + from] ?? 0
        const weight = w[((channelOut * channels + channel) * taps[0] + high) * taps[1] + wide] ?? 0
        sum += value * weight
        absolute += Math.abs(value * weight)
      }
  return { sum, absolute }
}

function recursive(re: Float64Array, im: Float64Array, sign: 1 | -1): [Float64Array, Float64Array] {
  const n = re.length
  if (n === 1) return [re, im]
  const every = (from: Float64Array, odd: number) =>
    Float64Array.from({ length: n / 2 }, (_, i) => from[2 * i + odd] ?? 0)
  const [evenRe, evenIm] = recursive(every(re, 0), every(im, 0), sign)
  const [oddRe, oddIm] = recursive(every(re, 1), every(im, 1), sign)
  const [outRe, outIm] = [new Float64Array(n), new Float64Array(n)]
  for (let k = 0; k < n / 2; k += 1) {
    const angle = (sign * 2 * Math.PI * k) / n
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
    const [a, b] = [oddRe[k] ?? 0, oddIm[k] ?? 0]
    const [turnedRe, turnedIm] = [cos * a - sin * b, sin * a + cos * b]
    outRe[k] = (evenRe[k] ?? 0) + turnedRe
    outIm[k] = (evenIm[k] ?? 0) + turnedIm
    outRe[k + n / 2] = (evenRe[k] ?? 0) - turnedRe
    outIm[k + n / 2] = (evenIm[k] ?? 0) - turnedIm
  }
  return [outRe, outIm]
}

function sumOfAbsolutes(values: ArrayLike<number>, from = 0, to = values.length): number {
  let sum = 0
  for (let i = from; i < to; i += 1) sum += Math.abs(values[i] ?? 0)
  return sum
}

export const REFERENCES: Readonly<Record<string, Reference>> = {
  'matmul@1': matmul,
  'softmax@1': softmax,
  'reduce@1': reduce,
  'scan@1': scan,
  'fft@1': fft,
  'conv1d@1': convolution,
  'conv2d@1': convolution,
  'sort@1': sort,
  'histogram@1': histogram,
}
