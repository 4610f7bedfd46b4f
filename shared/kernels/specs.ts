/** The library's kernels as data: inputs, parameters, output shapes, limits, tolerance, operations. */
import { elementsOf, type Datatype, type TensorHeader } from '#shared/job/job.ts'

export type ParamValue = number | string | boolean
type Tensor = Omit<TensorHeader, 'sizeBytes'>

export interface InputSpec {
  readonly name: string
  readonly datatypes: readonly Datatype[]
  readonly rank: readonly [number, number]
  /** The shape in people's notation. */
  readonly shape: string
}

export interface ParamSpec {
  readonly type: 'integer' | 'number' | 'boolean' | 'choice'
  /** A parameter without a default must be given. */
  readonly default?: ParamValue
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  readonly about: string
}

/** Inputs in the kernel's order, and all its parameters. `fault` refuses the value that it names. */
export interface ResolveInput {
  readonly inputs: readonly Tensor[]
  readonly params: Readonly<Record<string, ParamValue>>
  readonly fault: (
    at: { readonly input: string } | { readonly param: string },
    detail: string,
  ) => never
}

export interface KernelSpec {
  /** `name@version`. A version's numbers never change beyond its tolerance; another version's may. */
  readonly name: string
  readonly title: string
  readonly inputs: readonly InputSpec[]
  readonly params: Readonly<Record<string, ParamSpec>>
  readonly outputs: readonly { readonly name: string; readonly shape: string }[]
  readonly limits: string
  /** Largest error of a float output, relative to `of`; 0 where answers are exact. */
  readonly tolerance: { readonly value: number; readonly of: string }
  readonly operations: string
  readonly resolve: (input: ResolveInput) => {
    readonly outputs: readonly Tensor[]
    readonly operations: number
  }
}

const FLOATS: readonly Datatype[] = ['FP32']
const NUMBERS: readonly Datatype[] = ['FP32', 'INT32', 'UINT32']
const FFT_MOST = 1 << 20
const SORT_MOST = 1 << 21
const BINS_MOST = 4_096

const MATRIX = { name: '', datatypes: ['FP32', 'FP16'], rank: [2, 3] } as const
const ROWS: InputSpec = { name: 'x', datatypes: FLOATS, rank: [1, 8], shape: '[…,N]' }

function choice(choices: readonly [string, ...string[]], about: string): ParamSpec {
  return { type: 'choice', choices, default: choices[0], about }
}

function flag(about: string): ParamSpec {
  return { type: 'boolean', default: false, about }
}

const matmul: KernelSpec = {
  name: 'matmul@1',
  title: 'Matrix product, one or a batch of them',
  inputs: [
    { ...MATRIX, name: 'a', shape: '[M,K] or [B,M,K]' },
    { ...MATRIX, name: 'b', shape: '[K,N] or [B,K,N], the type of a' },
  ],
  params: {},
  outputs: [{ name: 'c', shape: '[M,N] or [B,M,N], the type of a' }],
  limits: 'FP16 is how the numbers are stored; sums are FP32, and a result over 65504 is refused',
  tolerance: { value: 2e-5, of: 'the largest Σ|a·b|; FP16: 1e-3' },
  operations: '2·B·M·N·K',
  resolve({ inputs, fault }) {
    const [a, b] = inputs as [Tensor, Tensor]
    if (a.datatype !== b.datatype) fault({ input: 'b' }, `is ${b.datatype} and a is ${a.datatype}`)
    const [m = 1, k = 1] = a.shape.slice(-2)
    const [kOfB = 1, n = 1] = b.shape.slice(-2)
    const batch = a.shape.slice(0, -2)
    if (k !== kOfB || batch.join() !== b.shape.slice(0, -2).join())
      fault(
        { input: 'b' },
        `is [${b.shape.join(',')}], which does not follow a's [${a.shape.join(',')}]`,
      )
    return {
      outputs: [{ name: 'c', datatype: a.datatype, shape: [...batch, m, n] }],
      operations: 2 * (batch[0] ?? 1) * m * n * k,
    }
  },
}

const softmax: KernelSpec = {
  name: 'softmax@1',
  title: 'Softmax over the last axis',
  inputs: [ROWS],
  params: {},
  outputs: [{ name: 'y', shape: 'that of x' }],
  limits: '',
  tolerance: { value: 1e-5, of: 'the largest y of the row' },
  operations: '16 an element',
  resolve({ inputs: [x] }) {
    const shape = x?.shape ?? []
    return { outputs: [{ name: 'y', datatype: 'FP32', shape }], operations: 16 * elementsOf(shape) }
  },
}

const reduce: KernelSpec = {
  name: 'reduce@1',
  title: 'Sum, mean, smallest or largest along the last axis',
  inputs: [ROWS],
  params: {
    op: choice(['sum', 'mean', 'min', 'max'], 'what is taken of each row'),
  },
  outputs: [{ name: 'y', shape: '[…,1]' }],
  limits: '',
  tolerance: { value: 1e-6, of: 'Σ|x| of the row (its mean for mean); min and max are exact' },
  operations: '2 an element',
  resolve({ inputs: [x] }) {
    const shape = x?.shape ?? []
    return {
      outputs: [{ name: 'y', datatype: 'FP32', shape: [...shape.slice(0, -1), 1] }],
      operations: 2 * elementsOf(shape),
    }
  },
}

const scan: KernelSpec = {
  name: 'scan@1',
  title: 'Running sums along the last axis',
  inputs: [{ ...ROWS, datatypes: NUMBERS }],
  params: {
    exclusive: flag('whether an element is left out of its own sum'),
  },
  outputs: [{ name: 'y', shape: 'that of x, its type too' }],
  limits: 'integers wrap at 2^32',
  tolerance: { value: 1e-6, of: 'Σ|x| of the row; integers are exact' },
  operations: '4 an element',
  resolve({ inputs: [x] }) {
    const { datatype = 'FP32', shape = [] } = x ?? {}
    return { outputs: [{ name: 'y', datatype, shape }], operations: 4 * elementsOf(shape) }
  },
}

const fft: KernelSpec = {
  name: 'fft@1',
  title: 'Discrete Fourier transform, and its inverse',
  inputs: [{ ...ROWS, shape: 'complex: […,N,2] as re, im; real: […,N]' }],
  params: {
    input: choice(['complex', 'real'], 'what x holds'),
    inverse: flag('the inverse, divided by N; takes complex input'),
  },
  outputs: [
    { name: 'y', shape: 'complex: […,N,2]; real: […,N/2+1,2], the bins from 0 to half the rate' },
  ],
  limits: `N is a power of two, at most ${FFT_MOST}`,
  tolerance: { value: 1e-6, of: 'Σ|x| of the transform (its mean for the inverse)' },
  operations: '5·N·log2(2N) a transform',
  resolve({ inputs: [x], params, fault }) {
    const shape = x?.shape ?? []
    const isReal = params.input === 'real'
    if (isReal && params.inverse === true) fault({ param: 'inverse' }, 'takes complex input')
    if (!isReal && (shape.length < 2 || shape.at(-1) !== 2))
      fault({ input: 'x' }, `is [${shape.join(',')}]; complex input ends in an axis of 2`)
    const batch = shape.slice(0, isReal ? -1 : -2)
    const n = shape[batch.length] ?? 1
    if (n > FFT_MOST || !Number.isInteger(Math.log2(n)))
      fault({ input: 'x' }, `has N = ${n}, expected a power of two up to ${FFT_MOST}`)
    const bins = isReal ? Math.floor(n / 2) + 1 : n
    return {
      outputs: [{ name: 'y', datatype: 'FP32', shape: [...batch, bins, 2] }],
      operations: 5 * n * Math.log2(2 * n) * elementsOf(batch),
    }
  },
}

type Convolution = Readonly<Record<'stride' | 'padding' | 'dilation', number>>

function convolution(axes: 1 | 2): KernelSpec {
  const names = axes === 1 ? ['L'] : ['H', 'W']
  const outs = names.map((name) => `${name}′`).join()
  return {
    name: `conv${axes}d@1`,
    title: `Convolution over ${axes === 1 ? 'one axis' : 'two axes'} (not mirrored, as neural networks use the word)`,
    inputs: [
      { name: 'x', datatypes: FLOATS, rank: [axes + 2, axes + 2], shape: `[B,C,${names.join()}]` },
      {
        name: 'w',
        datatypes: FLOATS,
        rank: [axes + 2, axes + 2],
        shape: `[O,C,${names.map((name) => `K${name}`).join()}]`,
      },
    ],
    params: {
      stride: { type: 'integer', default: 1, min: 1, max: 256, about: 'steps between outputs' },
      padding: { type: 'integer', default: 0, min: 0, max: 4096, about: 'zeroes on each side' },
      dilation: { type: 'integer', default: 1, min: 1, max: 4096, about: 'steps between taps' },
    },
    outputs: [
      {
        name: 'y',
        shape: `[B,O,${outs}], each ⌊(n + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1`,
      },
    ],
    limits: 'stride, padding and dilation are the same on all axes',
    tolerance: { value: 2e-5, of: 'the largest Σ|x·w|' },
    operations: '2·C·taps an output',
    resolve({ inputs, params, fault }) {
      const [x, w] = inputs as [Tensor, Tensor]
      const [batch = 1, channels = 1, ...sizes] = x.shape
      const [outChannels = 1, channelsOfW = 1, ...taps] = w.shape
      const { stride, padding, dilation } = params as Convolution
      if (channels !== channelsOfW)
        fault({ input: 'w' }, `has ${channelsOfW} channels and x has ${channels}`)
      const outSizes = sizes.map((size, axis) => {
        const reach = dilation * ((taps[axis] ?? 1) - 1) + 1
        return Math.floor((size + 2 * padding - reach) / stride) + 1
      })
      if (outSizes.some((size) => size < 1))
        fault({ input: 'w' }, `is [${w.shape.join(',')}], which reaches beyond the padded x`)
      const shape = [batch, outChannels, ...outSizes]
      return {
        outputs: [{ name: 'y', datatype: 'FP32', shape }],
        operations: 2 * elementsOf(shape) * channels * elementsOf(taps),
      }
    },
  }
}

const sort: KernelSpec = {
  name: 'sort@1',
  title: 'Sort, with the place that each key came from',
  inputs: [{ name: 'keys', datatypes: NUMBERS, rank: [1, 1], shape: '[N]' }],
  params: {
    descending: flag('largest first; equal keys keep their order either way'),
  },
  outputs: [
    { name: 'sorted', shape: '[N], the type of keys' },
    { name: 'order', shape: '[N] UINT32: sorted[i] = keys[order[i]]' },
  ],
  limits: `N at most ${SORT_MOST}; −0 comes before +0`,
  tolerance: { value: 0, of: 'nothing: stable and exact' },
  operations: '64 a key',
  resolve({ inputs: [keys], fault }) {
    const { datatype = 'FP32', shape = [] } = keys ?? {}
    const n = shape[0] ?? 1
    if (n > SORT_MOST) fault({ input: 'keys' }, `has ${n} keys, at most ${SORT_MOST}`)
    return {
      outputs: [
        { name: 'sorted', datatype, shape },
        { name: 'order', datatype: 'UINT32', shape },
      ],
      operations: 64 * n,
    }
  },
}

const histogram: KernelSpec = {
  name: 'histogram@1',
  title: 'How many values fall into each of equal bins',
  inputs: [{ ...ROWS, shape: 'any' }],
  params: {
    bins: { type: 'integer', min: 1, max: BINS_MOST, about: 'how many' },
    min: { type: 'number', about: 'lower edge of the first bin' },
    max: { type: 'number', about: 'upper edge of the last bin, which it includes' },
  },
  outputs: [{ name: 'counts', shape: '[bins] UINT32' }],
  limits: 'values outside min to max are not counted',
  tolerance: {
    value: 0,
    of: 'nothing, but a value within 2 ulp of an edge may count on either side',
  },
  operations: '4 an element',
  resolve({ inputs: [x], params, fault }) {
    if (Math.fround(Number(params.max)) <= Math.fround(Number(params.min)))
      fault({ param: 'max' }, `is ${params.max}, not above min ${params.min} as a 32-bit float`)
    return {
      outputs: [{ name: 'counts', datatype: 'UINT32', shape: [Number(params.bins)] }],
      operations: 4 * elementsOf(x?.shape ?? []),
    }
  },
}

export const KERNEL_SPECS: readonly KernelSpec[] = [
  matmul,
  softmax,
  reduce,
  scan,
  fft,
  convolution(1),
  convolution(2),
  sort,
  histogram,
]
