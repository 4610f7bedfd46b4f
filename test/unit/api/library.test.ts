/** `/v1/compute` by name: JSON tensors to library work and back. */
import { describe, expect, it } from 'vitest'
import type { Bytes32 } from '#shared/base/ids.ts'
import { refusal } from '#test/support/engine/text-requests.ts'
import { parseBody } from '#worker/body/faults.ts'
import {
  decodeLibrary,
  encodeLibrary,
  LibraryRequest,
  LibraryResponse,
} from '#worker/api/compute/library.ts'
import { encodeBase64 } from '#shared/base/base64.ts'

const A = {
  name: 'a',
  datatype: 'FP32',
  shape: [2, 2],
  data: [
    [1, 2],
    [3, 4],
  ],
}
const B = { name: 'b', datatype: 'FP32', shape: [2, 1], data: [5, 6] }
const ABOUT = { id: 'job_1', receipt: `0x${'1'.repeat(64)}` as Bytes32 }

function decode(inputs: readonly unknown[], rest: object = {}) {
  return decodeLibrary(parseBody(LibraryRequest, { kernel: 'matmul@1', inputs, ...rest }))
}

describe('a request by name', () => {
  it('becomes work with its inputs in the kernel order and all parameters', () => {
    const { work, payload, resolved } = decode([B, A])
    expect(work.inputs.map(({ name }) => name)).toEqual(['a', 'b'])
    expect([...new Float32Array(payload.slice().buffer)]).toEqual([1, 2, 3, 4, 5, 6])
    expect(resolved.outputs).toEqual([{ name: 'c', datatype: 'FP32', shape: [2, 1], sizeBytes: 8 }])
    const scan = { kernel: 'scan@1', inputs: [{ ...A, name: 'x' }] }
    expect(decodeLibrary(parseBody(LibraryRequest, scan)).work.params).toEqual({ exclusive: false })
  })

  it('accepts base64 for any input, and is answered in the encoding of its first input by default', () => {
    const base64 = encodeBase64(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
    const { data: _, ...bare } = A
    const body = { kernel: 'matmul@1', inputs: [{ ...bare, base64 }, B] }
    const answer = {
      outputs: decode([A, B]).resolved.outputs,
      payload: new Uint8Array(Float32Array.of(17, 39).buffer),
    }
    const encode = (request: object) =>
      LibraryResponse.parse(encodeLibrary(answer, ABOUT, LibraryRequest.parse(request))).outputs[0]
    expect(encode(body)).toEqual({
      name: 'c',
      datatype: 'FP32',
      shape: [2, 1],
      base64: encodeBase64(answer.payload),
    })
    expect(encode({ ...body, encoding: 'json' })).toMatchObject({ data: [17, 39] })
    expect(encode({ kernel: 'matmul@1', inputs: [A, B] })).toMatchObject({ data: [17, 39] })
  })

  it.each<[string, object, string]>([
    ['both data and base64', { base64: 'AAAA' }, '/inputs/0/base64'],
    ['neither', { data: undefined }, '/inputs/0/data'],
    ['too few elements', { data: [1, 2] }, '/inputs/0/data'],
    ['an element that is no number', { data: [1, 2, 'x', 4] }, '/inputs/0/data/2'],
    ['a number beyond its type', { data: [1, 2, 3, 1e39] }, '/inputs/0/data/3'],
    ['base64 of NaN', { data: undefined, base64: 'AADAfwAAAAAAAAAAAAAAAA==' }, '/inputs/0/base64'],
    ['base64 that was cut', { data: undefined, base64: 'AAA' }, '/inputs/0/base64'],
    ['base64 of another length', { data: undefined, base64: 'AAAAAA==' }, '/inputs/0/base64'],
    ['text where there are numbers', { datatype: 'BYTES', data: ['a'] }, '/inputs/0/datatype'],
    ['a member that is unknown', { dtype: 'FP32' }, '/inputs/0/dtype'],
  ])('with %s is refused with a pointer', (_, change, pointer) => {
    expect(refusal(() => decode([{ ...A, ...change }, B])).pointers).toContain(pointer)
  })

  it('of a shape beyond any memory is refused before an element is read', () => {
    const huge = [
      { ...A, shape: [2 ** 30, 2 ** 30] },
      { ...B, shape: [2 ** 30, 1] },
    ]
    expect(() => decode(huge)).toThrow(expect.objectContaining({ code: 'too_large' }))
  })
})
