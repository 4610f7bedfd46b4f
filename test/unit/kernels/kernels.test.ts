/** The kernels' specifications: what they accept and refuse. Rules: docs/design/kernels.md. */
import { describe, expect, test } from 'vitest'
import { computeKernelDigest, LIBRARY } from '#engine/kernels/library/library.ts'
import { KERNEL_SPECS, type ParamValue } from '#shared/kernels/specs.ts'
import {
  checkLibraryInputs,
  checkLibraryOutputs,
  kernelDigest,
  libraryOutputBytes,
  OPERATIONS_PER_UNIT,
  resolveJob,
} from '#shared/kernels/kernels.ts'
import { findNonFinite } from '#shared/job/tensor.ts'
import type { Datatype } from '#shared/job/job.ts'
import { libraryJob } from '#test/support/engine/library-jobs.ts'
import { refusal } from '#test/support/engine/text-requests.ts'

type Shapes = Record<string, number[]>

function resolve(
  kernel: string,
  shapes: Shapes,
  params: Record<string, ParamValue> = {},
  datatype: Datatype = 'FP32',
) {
  const inputs = Object.entries(shapes).map(([name, shape]) => ({ name, datatype, shape }))
  return resolveJob({ kernel, inputs, params })
}

test('[K1] each specification has code, and its digest is that of the code', () => {
  expect(LIBRARY.map(({ name }) => name)).toEqual(KERNEL_SPECS.map(({ name }) => name))
  for (const kernel of LIBRARY) expect(kernelDigest(kernel.name)).toBe(computeKernelDigest(kernel))
})

test('[K1] the digest changes with the text', () => {
  for (const kernel of LIBRARY) {
    const [name = '', text = ''] = Object.entries(kernel.sources)[0] ?? []
    const changed = { ...kernel, sources: { ...kernel.sources, [name]: `${text} ` } }
    expect(computeKernelDigest(changed)).not.toBe(kernelDigest(kernel.name))
  }
})

const edges = (min: number, max: number) => ({ bins: 2, min, max })

describe('shapes', () => {
  test.each<[string, Shapes, Record<string, ParamValue>, number[][]]>([
    ['matmul@1', { a: [7, 3], b: [3, 5] }, {}, [[7, 5]]],
    ['matmul@1', { b: [2, 3, 5], a: [2, 7, 3] }, {}, [[2, 7, 5]]],
    ['softmax@1', { x: [2, 9] }, {}, [[2, 9]]],
    ['reduce@1', { x: [4, 2, 9] }, { op: 'max' }, [[4, 2, 1]]],
    ['reduce@1', { x: [4, 2, 9] }, {}, [[4, 2, 1]]],
    ['scan@1', { x: [9] }, { exclusive: true }, [[9]]],
    ['fft@1', { x: [3, 8, 2] }, {}, [[3, 8, 2]]],
    ['fft@1', { x: [3, 8] }, { input: 'real' }, [[3, 5, 2]]],
    ['fft@1', { x: [1] }, { input: 'real' }, [[1, 2]]],
    ['conv1d@1', { x: [2, 3, 10], w: [4, 3, 3] }, { stride: 2, padding: 1 }, [[2, 4, 5]]],
    ['conv2d@1', { x: [1, 3, 8, 9], w: [4, 3, 3, 2] }, { dilation: 2 }, [[1, 4, 4, 7]]],
    ['sort@1', { keys: [11] }, {}, [[11], [11]]],
    ['histogram@1', { x: [5, 5] }, { bins: 4, min: 0, max: 1 }, [[4]]],
  ])('[K2] %s of %j with %j gives %j', (kernel, shapes, params, expected) => {
    expect(resolve(kernel, shapes, params).outputs.map(({ shape }) => shape)).toEqual(expected)
  })

  test.each<[string, string, Shapes, Record<string, ParamValue>, string]>([
    ['an inner size that differs', 'matmul@1', { a: [2, 3], b: [4, 5] }, {}, '/inputs/1/shape'],
    ['another batch', 'matmul@1', { a: [2, 2, 3], b: [3, 3, 5] }, {}, '/inputs/1/shape'],
    ['one axis too few', 'matmul@1', { a: [3], b: [3, 5] }, {}, '/inputs/0/shape'],
    ['an input that is missing', 'matmul@1', { a: [2, 3] }, {}, '/inputs'],
    ['an unknown input', 'softmax@1', { x: [2], y: [2] }, {}, '/inputs/1/name'],
    ['no elements', 'softmax@1', { x: [4, 0] }, {}, '/inputs/0/shape'],
    ['no parameter where one is needed', 'histogram@1', { x: [4] }, {}, '/params/bins'],
    ['an unknown choice', 'reduce@1', { x: [4] }, { op: 'median' }, '/params/op'],
    ['an unknown parameter', 'softmax@1', { x: [4] }, { axis: 1 }, '/params/axis'],
    ['a parameter of the wrong type', 'scan@1', { x: [4] }, { exclusive: 1 }, '/params/exclusive'],
    ['a length that is no power of two', 'fft@1', { x: [12, 2] }, {}, '/inputs/0/shape'],
    ['a length over the limit', 'fft@1', { x: [2 ** 21, 2] }, {}, '/inputs/0/shape'],
    ['complex numbers of three parts', 'fft@1', { x: [8, 3] }, {}, '/inputs/0/shape'],
    ['a real inverse', 'fft@1', { x: [8] }, { input: 'real', inverse: true }, '/params/inverse'],
    ['other channels', 'conv1d@1', { x: [1, 2, 9], w: [1, 3, 3] }, {}, '/inputs/1/shape'],
    ['taps beyond the input', 'conv1d@1', { x: [1, 1, 2], w: [1, 1, 3] }, {}, '/inputs/1/shape'],
    ['half a step', 'conv1d@1', { x: [1, 1, 9], w: [1, 1, 3] }, { stride: 1.5 }, '/params/stride'],
    ['too many keys', 'sort@1', { keys: [2 ** 21 + 1] }, {}, '/inputs/0/shape'],
    ['an empty range', 'histogram@1', { x: [4] }, edges(1, 1), '/params/max'],
    ['a range empty as FP32', 'histogram@1', { x: [4] }, edges(1, 1 + 1e-9), '/params/max'],
    ['an edge beyond FP32', 'histogram@1', { x: [4] }, edges(0, 1e39), '/params/max'],
    ['too many bins', 'histogram@1', { x: [4] }, { bins: 4_097, min: 0, max: 1 }, '/params/bins'],
  ])('[K2] %s is refused with its pointer', (_, kernel, shapes, params, pointer) => {
    const { code, pointers } = refusal(() => resolve(kernel, shapes, params))
    expect(code).toBe('invalid_request')
    expect(pointers).toContain(pointer)
  })

  test('[K2] a type that the kernel does not take is refused', () => {
    const run = () => resolve('softmax@1', { x: [4] }, {}, 'INT32')
    expect(refusal(run)).toMatchObject({
      code: 'invalid_request',
      pointers: ['/inputs/0/datatype'],
    })
  })

  test('[K2] a kernel or version that does not exist is not found', () => {
    for (const name of ['fft@2', 'dft@1', 'constructor'])
      expect(refusal(() => resolve(name, { x: [8, 2] }))).toMatchObject({ code: 'not_found' })
  })

  test.each<[string, string, Shapes, Record<string, ParamValue>]>([
    ['one input over its bytes', 'softmax@1', { x: [2 ** 23 + 1] }, {}],
    ['an output over its bytes', 'matmul@1', { a: [4096, 1], b: [1, 4096] }, {}],
    ['operations over the bound', 'matmul@1', { a: [1300, 1300], b: [1300, 1300] }, {}],
    ['an unsafe product', 'matmul@1', { a: [2 ** 40, 2 ** 40], b: [2 ** 40, 1] }, {}],
  ])('[K5] %s is too large', (_, kernel, shapes, params) => {
    expect(refusal(() => resolve(kernel, shapes, params)).code).toBe('too_large')
  })
})

describe('bytes', () => {
  const job = libraryJob({
    kernel: 'reduce@1',
    inputs: [{ name: 'x', shape: [2, 3] }],
    params: { op: 'sum' },
  })
  const answer = new Uint8Array(Float32Array.of(1, 2).buffer)
  const headers = job.resolved.outputs

  test('[K6] bytes of the resolved sizes pass', () => {
    expect(checkLibraryInputs(job.work, job.payload).units).toBe(1)
    expect(libraryOutputBytes(job.work)).toBe(8)
    checkLibraryOutputs(job.work, headers, answer)
  })

  test('[K6] bytes that are missing, too many or not finite are refused', () => {
    const wild = job.payload.slice()
    new DataView(wild.buffer).setFloat32(8, Infinity, true)
    for (const payload of [job.payload.subarray(4), new Uint8Array(28), wild])
      expect(refusal(() => checkLibraryInputs(job.work, payload)).code).toBe('invalid_request')
    expect(refusal(() => checkLibraryInputs(job.work, wild)).pointers).toEqual(['/inputs/0/data/2'])
  })

  test('[K6] an answer of another name, type, shape or length is refused, and one with NaN', () => {
    const [header] = headers
    if (header === undefined) throw new Error('no output')
    const nan = new Uint8Array(Float32Array.of(1, NaN).buffer)
    const wrong: [typeof headers, Uint8Array][] = [
      [[{ ...header, name: 'z' }], answer],
      [[{ ...header, datatype: 'INT32' }], answer],
      [[{ ...header, shape: [1, 2] }], answer],
      [[], new Uint8Array()],
      [[header, header], answer],
      [headers, answer.subarray(4)],
      [headers, nan],
    ]
    for (const [given, payload] of wrong)
      expect(refusal(() => checkLibraryOutputs(job.work, given, payload)).code).toBe(
        'invalid_request',
      )
  })

  test('[K6] NaN and infinity are found in each float type, and nothing else is', () => {
    const types = [
      ['FP16', Float16Array],
      ['FP32', Float32Array],
      ['FP64', Float64Array],
    ] as const
    for (const [datatype, Type] of types) {
      const bytes = (...values: number[]) => new Uint8Array(new Type(values).buffer)
      for (const value of [NaN, Infinity, -Infinity])
        expect(findNonFinite(datatype, bytes(1, value, 2))).toBe(1)
      expect(findNonFinite(datatype, bytes(0, -0, 65_504, -1e-7))).toBe(-1)
    }
    expect(findNonFinite('INT32', new Uint8Array(4).fill(0xff))).toBe(-1)
  })
})

test('[K7] units follow from the operations alone', () => {
  const product = resolve('matmul@1', { a: [512, 512], b: [512, 512] })
  expect(product.operations).toBe(2 * 512 ** 3)
  expect(product.units).toBe((2 * 512 ** 3) / OPERATIONS_PER_UNIT)
  expect(resolve('softmax@1', { x: [1] }).units).toBe(1)
  expect(resolve('fft@1', { x: [4, 1024, 2] }).operations).toBe(4 * 5 * 1024 * 11)
})
