/** Open Inference Protocol bodies to tensors and back. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PIXELS_MANIFEST, EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'
import { refusal } from '#test/support/engine/text-requests.ts'
import { parseBody } from '#worker/body/faults.ts'
import {
  checkNamed,
  checkWanted,
  decodeInfer,
  encodeInfer,
  InferRequest,
} from '#worker/api/oip/oip.ts'

const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 3], data: [1, 2, 3, 4, 5, 255] }
const scale = { name: 'scale', datatype: 'FP32', shape: [1], data: [0.5] }

function decode(body: unknown) {
  return decodeInfer(PIXELS_MANIFEST, parseBody(InferRequest, body))
}

describe('decoding an infer request', () => {
  it('accepts flat and nested data', () => {
    const flat = decode({ inputs: [image, scale] })
    const nested = decode({
      inputs: [
        {
          ...image,
          data: [
            [
              [1, 2, 3],
              [4, 5, 255],
            ],
          ],
        },
        scale,
      ],
    })
    expect(nested).toEqual(flat)
    expect([...flat.payload.subarray(0, 6)]).toEqual([1, 2, 3, 4, 5, 255])
    expect(flat.headers.map((header) => header.sizeBytes)).toEqual([6, 4])
  })

  it('accepts base64 where the tensor says so', () => {
    const data = Buffer.from([1, 2, 3, 4, 5, 255]).toString('base64')
    const base64 = { ...image, data, parameters: { encoding: 'base64' } }
    expect(decode({ inputs: [base64, scale] })).toEqual(decode({ inputs: [image, scale] }))
  })

  it('puts the inputs into the order of the manifest', () => {
    const { headers, payload } = decode({ inputs: [scale, image] })
    expect(headers.map((header) => header.name)).toEqual(['image', 'scale'])
    expect(payload[5]).toBe(255)
  })

  const withImage = (change: object) => ({ inputs: [{ ...image, ...change }, scale] })
  const withScale = (change: object) => ({ inputs: [image, { ...scale, ...change }] })
  const base64 = (data: string) => ({ data, parameters: { encoding: 'base64' } })
  const nan = Buffer.from(new Float32Array([Number.NaN]).buffer).toString('base64')
  it.each<[string, unknown, string]>([
    ['a wrong shape', withImage({ shape: [1, 3, 3] }), '/inputs/0/data'],
    ['a shape that the model lacks', withImage({ shape: [6] }), '/inputs/0/shape'],
    ['a wrong type', withImage({ datatype: 'FP32' }), '/inputs/0/datatype'],
    ['an unknown type', withImage({ datatype: 'FP16' }), '/inputs/0/datatype'],
    ['null for a number', withScale({ data: [null] }), '/inputs/1/data/0'],
    ['NaN as a text', withScale({ data: ['NaN'] }), '/inputs/1/data/0'],
    ['a float too large', withScale({ data: [1e39] }), '/inputs/1/data/0'],
    ['a byte out of range', withImage({ data: [1, 2, 3, 4, 5, 256] }), '/inputs/0/data/5'],
    ['truncated base64', withImage(base64('AQIDBAX')), '/inputs/0/data'],
    ['base64 of too few bytes', withImage(base64('AQID')), '/inputs/0/data'],
    ['NaN bytes in base64', withScale(base64(nan)), '/inputs/1/data/0'],
    ['a missing input', { inputs: [image] }, '/inputs'],
    ['an input twice', { inputs: [image, scale, scale] }, '/inputs/2/name'],
    ['an unknown input', { inputs: [image, scale, { ...scale, name: 'x' }] }, '/inputs/2/name'],
    ['no inputs at all', {}, '/inputs'],
    ['a body that is not an object', 7, ''],
  ])('[A3] refuses %s and points at it', (_, body, pointer) => {
    const faults = refusal(() => decode(body))
    expect(faults.code).toBe('invalid_request')
    expect(faults.pointers).toContain(pointer)
  })

  it('only throws named errors, for any body', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue(), (body, data) => {
        for (const candidate of [body, { inputs: [{ ...image, data }, scale] }]) {
          expect(['none', 'invalid_request', 'too_large']).toContain(
            refusal(() => decode(candidate)).code,
          )
        }
      }),
    )
  })
})

describe('encoding an answer', () => {
  const outputs = [
    { name: 'text', datatype: 'BYTES' as const, shape: [1], sizeBytes: 7 },
    { name: 'score', datatype: 'FP32' as const, shape: [1], sizeBytes: 4 },
  ]
  const payload = new Uint8Array([3, 0, 0, 0, 0x30, 0x34, 0x37, 0, 0, 0, 0x3f])
  const about = { id: 'a', manifest: PIXELS_MANIFEST, version: '0x01' }

  it('writes texts as strings and floats as numbers', () => {
    const { response: answer } = encodeInfer({ outputs, payload }, about, {})
    expect(answer.outputs.map((output) => output.data)).toEqual([['047'], [0.5]])
    expect(answer).toMatchObject({ id: 'a', model_name: 'pixels-test', model_version: '0x01' })
  })

  it('returns only the requested outputs, as base64 if requested', () => {
    const wanted = [{ name: 'score', parameters: { encoding: 'base64' as const } }]
    const { response: answer } = encodeInfer({ outputs, payload }, about, { outputs: wanted })
    expect(answer.outputs).toEqual([
      {
        name: 'score',
        shape: [1],
        datatype: 'FP32',
        data: Buffer.from(payload.subarray(7)).toString('base64'),
        parameters: { encoding: 'base64' },
      },
    ])
  })

  it('refuses an output that the model lacks', () => {
    const faults = refusal(() => checkWanted(EMBEDDING_MANIFEST, [{ name: 'score' }]))
    expect(faults.pointers).toEqual(['/outputs/0/name'])
  })

  it.each([
    ['twice', [{ name: 'embedding' }, { name: 'embedding' }], '/outputs/1/name'],
    [
      'as bytes and as base64',
      [{ name: 'embedding', parameters: { binary_data: true, encoding: 'base64' as const } }],
      '/outputs/0/parameters/encoding',
    ],
  ])('refuses an output that is wanted %s', (_, wanted, pointer) => {
    const faults = refusal(() => checkWanted(EMBEDDING_MANIFEST, wanted))
    expect(faults.pointers).toEqual([pointer])
  })

  it('refuses a body that names another model or version than its path', () => {
    const path = { manifest: EMBEDDING_MANIFEST, digest: '0x01' }
    const naming = (body: object) => () =>
      checkNamed(parseBody(InferRequest, { inputs: [image], ...body }), path)
    const same = { model_name: EMBEDDING_MANIFEST.id, model_version: '0x01' }
    expect(naming(same)).not.toThrow()
    expect(refusal(naming({ model_name: 'other', model_version: '2' })).pointers).toEqual([
      '/model_name',
      '/model_version',
    ])
  })
})
