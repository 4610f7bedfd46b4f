import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Datatype } from '#shared/job/job.ts'
import type { Tensors } from '#shared/job/tensor.ts'
import { compareTensors, GROSS_MEASURE } from '#shared/checking/compare-tensors.ts'

const TOLERANCE = { absolute: 1e-3, relative: 1e-2 }

function tensorOf(datatype: Datatype, data: ArrayBufferView, shape: number[]): Tensors {
  const payload = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  return { headers: [{ name: 'out', datatype, shape, sizeBytes: payload.length }], payload }
}

function floats(...values: number[]): Tensors {
  return tensorOf('FP32', new Float32Array(values), [values.length])
}

describe('the comparison of two answers', () => {
  it('[CH13] takes integers and bytes bit for bit', () => {
    const [a, b] = [new Int32Array([1, 2, 3]), new Int32Array([1, 2, 4])]
    expect(compareTensors(tensorOf('INT32', a, [3]), tensorOf('INT32', a, [3])).measure).toBe(0)
    const found = compareTensors(tensorOf('INT32', a, [3]), tensorOf('INT32', b, [3]), [
      { absolute: 100, relative: 1 },
    ])
    expect(found).toEqual({ outcome: 'differed', measure: Infinity, output: 'out' })
  })

  it('agrees exactly up to the tolerance, absolute for small numbers and relative for large ones', () => {
    const agrees = (a: number, b: number) =>
      compareTensors(floats(a), floats(b), [TOLERANCE]).outcome === 'agreed'
    expect([agrees(0, 0.9e-3), agrees(0, 1.2e-3)]).toEqual([true, false])
    expect([agrees(100, 100.9), agrees(100, 101.2)]).toEqual([true, false])
  })

  it('calls zeros in place of numbers a gross difference', () => {
    const found = compareTensors(floats(0.3, -0.8), floats(0, 0), [TOLERANCE])
    expect(found.outcome).toBe('differed')
    expect(found.measure).toBeGreaterThan(GROSS_MEASURE)
  })

  it('differs by shape, name, type, size or number of outputs', () => {
    const one = floats(1, 2)
    const [header] = one.headers
    if (header === undefined) throw new Error('no header')
    for (const other of [
      { ...one, headers: [{ ...header, shape: [2, 1] }] },
      { ...one, headers: [{ ...header, name: 'other' }] },
      { ...one, headers: [{ ...header, datatype: 'INT32' as const }] },
      { headers: [], payload: new Uint8Array(0) },
      floats(1),
    ])
      expect(compareTensors(one, other).outcome).toBe('differed')
  })

  it('never lets NaN or infinity stand for a number', () => {
    for (const odd of [NaN, Infinity, -Infinity]) {
      expect(compareTensors(floats(odd), floats(odd)).outcome).toBe('agreed')
      expect(compareTensors(floats(odd), floats(1)).outcome).toBe('differed')
      expect(compareTensors(floats(1), floats(odd)).outcome).toBe('differed')
    }
  })

  it('says the same whichever answer comes first, and 0 for equal ones', () => {
    const value = fc.float({ min: -1e6, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 20 }), (pairs) => {
        const a = floats(...pairs.map(([x]) => x))
        const b = floats(...pairs.map(([, y]) => y))
        expect(compareTensors(a, b)).toEqual(compareTensors(b, a))
        expect(compareTensors(a, a).measure).toBe(0)
      }),
      { seed: 8, numRuns: 300 },
    )
  })

  it('reads FP16 and FP64, and finds the worst of several outputs', () => {
    const half = tensorOf('FP16', new Float16Array([1, 2]), [2])
    const wrong = tensorOf('FP16', new Float16Array([1, 3]), [2])
    expect(compareTensors(half, wrong, [TOLERANCE]).outcome).toBe('differed')
    const double = tensorOf('FP64', new Float64Array([1]), [1])
    expect(compareTensors(double, double).outcome).toBe('agreed')
    const both = (last: number): Tensors => {
      const parts = [floats(1), floats(last)]
      const headers = parts.flatMap((part, index) =>
        part.headers.map((header) => ({ ...header, name: `out${index}` })),
      )
      return { headers, payload: new Uint8Array(parts.flatMap(({ payload }) => [...payload])) }
    }
    expect(compareTensors(both(1), both(2))).toMatchObject({ outcome: 'differed', output: 'out1' })
  })
})
