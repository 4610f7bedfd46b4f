/** OpenAI's embeddings to tensors and back. */
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/errors.ts'
import { decodeTexts } from '#shared/tensor.ts'
import { EMBEDDING_MANIFEST, PIXELS_MANIFEST } from '#test/support/manifests.ts'
import {
  decodeEmbeddings,
  EmbeddingsRequest,
  encodeEmbeddings,
} from '#worker/formats/embeddings.ts'
import { parseBody } from '#worker/formats/faults.ts'

const parse = (body: object) => parseBody(EmbeddingsRequest, { model: 'embed-test', ...body })
const decode = (body: object) => decodeEmbeddings(EMBEDDING_MANIFEST, parse(body))

function faultsOf(run: () => unknown) {
  try {
    run()
  } catch (error) {
    const { code, detail, meta } = toAppError(error)
    return { code, detail, pointer: meta.errors?.[0]?.pointer }
  }
  return { code: 'none' }
}

describe('decoding', () => {
  it('takes one text or many, of any script', () => {
    expect(decodeTexts(decode({ input: 'warm water' }).payload)).toEqual(['warm water'])
    const many = decode({ input: ['Zähler', '水温'], user: 'unknown members pass' })
    expect(decodeTexts(many.payload)).toEqual(['Zähler', '水温'])
    expect(many.headers[0]?.shape).toEqual([2])
  })

  it('takes the dimensions that the model has, and refuses others by name', () => {
    expect(decode({ input: 'a', dimensions: 4 }).headers).toHaveLength(1)
    expect(faultsOf(() => decode({ input: 'a', dimensions: 8 }))).toMatchObject({
      code: 'invalid_request',
      pointer: '/dimensions',
    })
  })

  it.each([
    ['tokens', [1, 2]],
    ['arrays of tokens', [[1, 2]]],
    ['an empty text', ''],
    ['no texts', []],
    ['a number', 7],
  ])('refuses %s and points at the input', (_, input) => {
    expect(faultsOf(() => decode({ input }))).toMatchObject({
      code: 'invalid_request',
      pointer: expect.stringMatching(/^\/input/) as string,
    })
  })

  it('says that arrays of tokens are what it does not take', () => {
    expect(faultsOf(() => decode({ input: [[1, 2]] })).detail).toContain('arrays of tokens')
  })

  it('writes no fault for each of very many wrong items', () => {
    const input = Array.from({ length: 1_000_000 }, () => 0)
    const startedMs = performance.now()
    expect(faultsOf(() => decode({ input }))).toMatchObject({ code: 'invalid_request' })
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it('refuses more texts than a request may hold', () => {
    const input = Array.from({ length: 257 }, () => 'a')
    expect(faultsOf(() => decode({ input })).code).toBe('too_large')
  })

  it('refuses a model that makes no embeddings', () => {
    const request = parse({ input: 'a', model: 'pixels-test' })
    expect(faultsOf(() => decodeEmbeddings(PIXELS_MANIFEST, request)).pointer).toBe('/model')
  })
})

describe('encoding', () => {
  const floats = new Float32Array([0.5, -1, 0.25, 2, 1, 1, 0, -0.5])
  const payload = new Uint8Array(floats.buffer)
  const outputs = [
    { name: 'embedding', datatype: 'FP32' as const, shape: [2, 4], sizeBytes: payload.length },
  ]

  it('gives each text its own row of floats', () => {
    const answer = encodeEmbeddings({ outputs, payload }, parse({ input: ['a', 'bcdefg'] }))
    expect(answer.data.map((row) => row.embedding)).toEqual([
      [0.5, -1, 0.25, 2],
      [1, 1, 0, -0.5],
    ])
    expect(answer.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 })
  })

  it('gives little-endian float32 in base64 when asked, as OpenAI does', () => {
    const request = parse({ input: ['a', 'b'], encoding_format: 'base64' })
    const answer = encodeEmbeddings({ outputs, payload }, request)
    const bytes = Buffer.from(String(answer.data[1]?.embedding), 'base64')
    expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual([1, 1, 0, -0.5])
  })
})
