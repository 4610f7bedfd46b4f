/** OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings) to and from model work. */
import { z } from 'zod'
import { AppError } from '#shared/errors.ts'
import { sliceTensors, type TensorHeader } from '#shared/job.ts'
import type { ModelManifest } from '#shared/model.ts'
import { checkTensors, decodeFloats, encodeBytes } from '#shared/tensor.ts'
import { encodeBase64 } from './base64.ts'
import { invalidRequest } from './faults.ts'
import type { TensorBatch } from './oip.ts'
import { ResidencyFields } from './residency.ts'

/** Far over LIMITS.embeddingInputs, which has an error of its own: from here on no fault is written for each item. */
const MOST_ITEMS = 4_096

const Text = z.string({ error: 'must be text; arrays of tokens are not supported' }).min(1)

/** Loose, as OpenAI's own API is: unknown members pass. */
export const EmbeddingsRequest = z.looseObject({
  model: z.string().min(1).max(128),
  input: z.union([Text, z.array(Text).min(1).max(MOST_ITEMS)], {
    error: 'must be a text or an array of texts; arrays of tokens are not supported',
  }),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  dimensions: z.int().min(1).optional(),
  ...ResidencyFields,
})
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequest>

export const EmbeddingsResponse = z.strictObject({
  object: z.literal('list'),
  model: z.string(),
  data: z.array(
    z.strictObject({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.base64()]),
    }),
  ),
  /** An estimate: UTF-8 bytes of the input over four, rounded up a text. Littoral bills texts, not tokens. */
  usage: z.strictObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
})
export type EmbeddingsResponse = z.infer<typeof EmbeddingsResponse>

/** @throws {AppError} invalid_request, too_large */
export function decodeEmbeddings(manifest: ModelManifest, request: EmbeddingsRequest): TensorBatch {
  const [input] = manifest.inputs
  if (manifest.task !== 'embedding' || input === undefined) {
    throw invalidRequest([
      { pointer: '/model', detail: `${manifest.id} makes no embeddings; see GET /v1/models` },
    ])
  }
  const size = manifest.outputs[0]?.shape.at(-1)
  if (request.dimensions !== undefined && request.dimensions !== size) {
    throw invalidRequest([
      { pointer: '/dimensions', detail: `${manifest.id} gives ${size} dimensions and no other` },
    ])
  }
  const texts = inputTexts(request)
  const payload = encodeBytes(texts)
  const headers: TensorHeader[] = [
    { name: input.name, datatype: 'BYTES', shape: [texts.length], sizeBytes: payload.length },
  ]
  checkTensors(manifest, headers, payload)
  return { headers, payload }
}

export function encodeEmbeddings(
  answer: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
  request: EmbeddingsRequest,
): EmbeddingsResponse {
  const [header] = answer.outputs
  const [bytes] = sliceTensors(answer.outputs, answer.payload)
  if (header === undefined || bytes === undefined) {
    throw new AppError('internal', 'A node answered without an output.')
  }
  const texts = inputTexts(request)
  const rowBytes = bytes.length / texts.length
  const tokens = texts.reduce((sum, text) => sum + estimateTokens(text), 0)
  return {
    object: 'list',
    model: request.model,
    data: texts.map((_, index) => {
      const row = bytes.subarray(index * rowBytes, (index + 1) * rowBytes)
      const embedding =
        request.encoding_format === 'base64' ? encodeBase64(row) : Array.from(decodeFloats(row))
      return { object: 'embedding', index, embedding }
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}

function inputTexts(request: EmbeddingsRequest): string[] {
  return typeof request.input === 'string' ? [request.input] : request.input
}

function estimateTokens(text: string): number {
  return Math.ceil(new TextEncoder().encode(text).length / 4)
}
