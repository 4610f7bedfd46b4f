/** OpenAI's embeddings to tensors and back. */
import { describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { decodeTexts } from '#shared/job/tensor.ts'
import { EMBEDDING_MANIFEST, PIXELS_MANIFEST } from '#test/support/hub/manifests.ts'
import {
  decodeEmbeddings,
  EmbeddingsRequest,
  encodeEmbeddings,
  pointAtInput,
} from '#worker/api/openai/embeddings.ts'
import { refusal } from '#test/support/engine/text-requests.ts'
import { parseBody } from '#worker/body/faults.ts'

const parse = (body: object) => parseBody(EmbeddingsRequest, { model: 'embed-test', ...body })
const decode = (body: object) => decodeEmbeddings(EMBEDDING_MANIFEST, parse(body))

function faultsOf(run: () => unknown) {
  const { pointers, ...rest } = refusal(run)
  return { ...rest, pointer: pointers[0] }
}

describe('decoding', () => {
  it('accepts one text or many, in any script', () => {
    expect(decodeTexts(decode({ input: 'warm water' }).payload)).toEqual(['warm water'])
    const many = decode({ input: ['Zähler', '水温'], user: 'unknown members pass' })
    expect(decodeTexts(many.payload)).toEqual(['Zähler', '水温'])
    expect(many.headers[0]?.shape).toEqual([2])
  })

  it('accepts only the model’s dimensions', () => {
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

  it('says that arrays of tokens are not supported', () => {
    expect(faultsOf(() => decode({ input: [[1, 2]] })).detail).toContain('arrays of tokens')
  })

  it('does not report every single one of very many wrong items', () => {
    const input = Array.from({ length: 1_000_000 }, () => 0)
    const { code, detail } = faultsOf(() => decode({ input }))
    expect(code).toBe('invalid_request')
    expect(detail?.length).toBeLessThan(10_000)
  })

  it('refuses more texts than a request may hold', () => {
    const input = Array.from({ length: 2_049 }, () => 'a')
    expect(faultsOf(() => decode({ input }))).toMatchObject({
      code: 'too_large',
      pointer: '/input',
    })
    expect(decode({ input: input.slice(1) }).headers[0]?.shape).toEqual([2_048])
  })

  it('refuses a text that is too long, and points at it', () => {
    const long = 'ü'.repeat(8_193)
    expect(faultsOf(() => decode({ input: ['a', long] }))).toMatchObject({
      code: 'context_length_exceeded',
      pointer: '/input/1',
    })
    expect(faultsOf(() => decode({ input: long })).pointer).toBe('/input')
  })

  it('points at the caller’s text when a node refuses it', () => {
    const pointer = '/inputs/0/data/1'
    const refused = new AppError('invalid_request', `${pointer}: the text is empty`, {
      meta: { errors: [{ pointer, detail: 'the text is empty' }] },
    })
    const many = pointAtInput(refused, parse({ input: ['a', ' '] }))
    expect(many).toMatchObject({ code: 'invalid_request', detail: '/input/1: the text is empty' })
    expect(many.meta.errors).toEqual([{ pointer: '/input/1', detail: 'the text is empty' }])
    expect(pointAtInput(refused, parse({ input: ' ' })).detail).toBe('/input: the text is empty')
    const long = new AppError('context_length_exceeded', 'A text is too long.', {
      meta: { errors: [{ pointer, detail: 'the text has 65 tokens' }] },
    })
    const told = pointAtInput(long, parse({ input: ['a', 'b'] }))
    expect(told.meta.errors).toEqual([{ pointer: '/input/1', detail: 'the text has 65 tokens' }])
    const lost = new AppError('node_lost', 'The node went away.')
    expect(pointAtInput(lost, parse({ input: 'a' }))).toBe(lost)
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
