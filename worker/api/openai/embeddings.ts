/** Converts OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings) to and from model work. */
import { z } from 'zod'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { sliceTensors, type TensorHeader } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { checkTensors, decodeFloats, encodeBytes } from '#shared/job/tensor.ts'
import { encodeBase64 } from '#shared/base/base64.ts'
import { LittoralMember } from './dialect.ts'
import { LabelFields } from './sampling.ts'
import { invalidAt, refuseAt, tooLarge } from '#worker/body/faults.ts'
import type { RequestTensors } from '#worker/api/oip/oip.ts'
import { ResidencyFields } from '#worker/body/residency.ts'

/** Far above LIMITS.embeddingInputs, which has its own error; bounds the number of faults. */
const MOST_ITEMS = 4_096

const Text = z
  .string({ error: 'must be text; arrays of tokens are not supported' })
  .min(1, { error: 'is an empty text' })

/** Loose, like OpenAI's API; `parseOpenBody` judges unknown members. */
export const EmbeddingsRequest = z.looseObject({
  model: z.string().min(1).max(128),
  input: z.union([Text, z.array(Text).min(1, { error: 'is an empty list' }).max(MOST_ITEMS)], {
    error: 'must be a text or an array of texts; arrays of tokens are not supported',
  }),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  dimensions: z.int().min(1).optional(),
  ...LabelFields,
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
  /** An estimate: UTF-8 bytes over four, rounded up for each text. Billing counts texts, not tokens. */
  usage: z.strictObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
  littoral: LittoralMember,
})
export type EmbeddingsResponse = z.infer<typeof EmbeddingsResponse>

/**
 * @throws {AppError} invalid_request, too_large for too many texts, context_length_exceeded for a
 * text that is too long
 */
export function decodeEmbeddings(
  manifest: ModelManifest,
  request: EmbeddingsRequest,
): RequestTensors {
  const [input] = manifest.inputs
  if (manifest.task !== 'embedding' || input === undefined) {
    throw invalidAt('/model', `${manifest.id} makes no embeddings; see GET /v1/models`)
  }
  const size = manifest.outputs[0]?.shape.at(-1)
  if (request.dimensions !== undefined && request.dimensions !== size) {
    throw invalidAt('/dimensions', `${manifest.id} gives ${size} dimensions and no other`)
  }
  const texts = inputTexts(request)
  checkSizes(request, texts)
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
): Omit<EmbeddingsResponse, 'littoral'> {
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

/** Rewrites pointers of a node's refusal from its tensor, `/inputs/0/data/3`, to the caller's `/input/3`. */
export function pointAtInput(error: unknown, request: EmbeddingsRequest): AppError {
  const { code, meta, detail } = toAppError(error)
  const isOfInput = code === 'invalid_request' || code === 'context_length_exceeded'
  if (!isOfInput || meta.errors === undefined) return toAppError(error)
  const inRequest = (text: string) =>
    text.replaceAll(/\/inputs\/0\/data(?:\/(\d+))?/g, (_, index: string | undefined) =>
      index === undefined ? '/input' : inputPointer(request, Number(index)),
    )
  const errors = meta.errors.map((fault) => ({ ...fault, pointer: inRequest(fault.pointer) }))
  return new AppError(code, inRequest(detail), { meta: { ...meta, errors }, cause: error })
}

const ENCODER = new TextEncoder()

function checkSizes(request: EmbeddingsRequest, texts: readonly string[]): void {
  if (texts.length > LIMITS.embeddingInputs) {
    const detail = `are ${texts.length} texts, at most ${LIMITS.embeddingInputs} are accepted`
    throw tooLarge('/input', detail)
  }
  const long = texts.findIndex((text) => ENCODER.encode(text).length > LIMITS.textBytes)
  if (long === -1) return
  const detail = `is longer than ${LIMITS.textBytes} bytes`
  throw refuseAt('context_length_exceeded', inputPointer(request, long), detail)
}

function inputPointer({ input }: EmbeddingsRequest, index: number): string {
  return typeof input === 'string' ? '/input' : `/input/${index}`
}

function inputTexts(request: EmbeddingsRequest): string[] {
  return typeof request.input === 'string' ? [request.input] : request.input
}

function estimateTokens(text: string): number {
  return Math.ceil(ENCODER.encode(text).length / 4)
}
