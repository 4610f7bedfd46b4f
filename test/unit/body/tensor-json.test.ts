/** Every datatype to JSON and base64 and back. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Datatype } from '#shared/job/job.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { decodeTensor, encodeTensor } from '#worker/body/tensor-json.ts'

const VALUES: Record<Datatype, fc.Arbitrary<unknown>> = {
  BOOL: fc.boolean(),
  UINT8: fc.integer({ min: 0, max: 255 }),
  UINT16: fc.integer({ min: 0, max: 65_535 }),
  UINT32: fc.integer({ min: 0, max: 4_294_967_295 }),
  UINT64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }),
  INT16: fc.integer({ min: -32_768, max: 32_767 }),
  FP16: fc
    .float({ noNaN: true, noDefaultInfinity: true, min: -65_504, max: 65_504 })
    .map((value) => Math.f16round(value)),
  FP64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  INT8: fc.integer({ min: -128, max: 127 }),
  INT32: fc.integer(),
  INT64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }),
  FP32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  BYTES: fc.string({ unit: 'grapheme' }),
}

describe.each(Object.entries(VALUES))('%s', (name, value) => {
  const datatype = name as Datatype

  it.each(['json', 'base64'] as const)('survives %s both ways', (encoding) => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (data) => {
        const options = { shape: [data.length], encoding: 'json' as const }
        const bytes = encodeTensor(datatype, data, options)
        if (!(bytes instanceof Uint8Array)) throw new Error(bytes.detail)
        const written = decodeTensor(datatype, bytes, encoding)
        const again = encodeTensor(datatype, written, { shape: [data.length], encoding })
        expect(again).toEqual(bytes)
        if (encoding === 'json') expect(written).toEqual(data)
      }),
    )
  })

  it('names the element that is not of its type', () => {
    const fault = encodeTensor(datatype, [{}], { shape: [1], encoding: 'json' })
    expect(fault).toMatchObject({ path: [0] })
  })
})

/** Shapes of one to four axes, each of size one to three, so each has its own nesting. */
const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 4 })

function nest(shape: readonly number[], next: () => number): unknown {
  const [size, ...rest] = shape
  return size === undefined ? next() : Array.from({ length: size }, () => nest(rest, next))
}

function counted(shape: readonly number[]): unknown {
  let count = 0
  return nest(shape, () => count++)
}

function encode(data: unknown, shape: readonly number[]) {
  return encodeTensor('UINT8', data, { shape, encoding: 'json' })
}

describe('nested data', () => {
  it('[A3] is accepted with its own shape only', () => {
    fc.assert(
      fc.property(shapes, shapes, (shape, other) => {
        const count = shape.reduce((product, size) => product * size, 1)
        const flat = Uint8Array.from({ length: count }, (_, i) => i)
        expect(encode(counted(shape), shape)).toEqual(flat)
        if (shape.join() === other.join()) return
        expect(encode(counted(shape), other)).toMatchObject({
          detail: expect.stringContaining(`its shape [${other.join(',')}] says`),
        })
      }),
    )
  })

  it.each<[string, unknown, number[], number[]]>([
    ['a row too short', [[1, 2], [3]], [2, 2], [1]],
    ['a number among the rows', [[1, 2], 3], [2, 2], [1]],
    ['a row among the numbers', [1, [2]], [2], [1]],
    [
      'columns first',
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [2, 3],
      [],
    ],
    ['one level too deep', [[[1], [2]]], [1, 2], [0, 0]],
    ['an empty row', [[], [1, 2]], [1, 2], []],
    ['data under a shape of no axes', [[1]], [], []],
  ])('[A3] with %s is refused where it contradicts the shape', (_, data, shape, path) => {
    expect(encode(data, shape)).toMatchObject({ path })
  })

  it('names a wrong element by its nested indices', () => {
    expect(
      encode(
        [
          [1, 2],
          [3, 256],
        ],
        [2, 2],
      ),
    ).toMatchObject({ path: [1, 1] })
  })
})

describe('base64', () => {
  it('agrees with Node on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const text = encodeBase64(bytes)
        expect(text).toBe(Buffer.from(bytes).toString('base64'))
        expect(decodeBase64(text)).toEqual(new Uint8Array(bytes))
      }),
    )
  })

  it.each(['A', 'AA', 'AAA', 'AAAA=', '=AAA', 'AA=A', 'AAA*', ' AAA', 'AA-_', 'AAA\n'])(
    'refuses %j',
    (text) => {
      expect(decodeBase64(text)).toBeUndefined()
    },
  )

  it('writes bytes longer than one chunk', () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)
    expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
  })
})
