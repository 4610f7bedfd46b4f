/** The members that chat and completions share, and the text job that both become. */
import { z } from 'zod'
import { AppError, type FieldFault } from '#shared/base/errors.ts'
import { parseJsonShape } from '#shared/job/json-shape.ts'
import type { TextWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { manifestDigest, type ModelManifest } from '#shared/job/model.ts'
import { mostTextUnits, type TextInput } from '#shared/job/text.ts'
import { invalidAt, invalidRequest } from '#worker/body/faults.ts'
import type { PricedWork } from '#worker/dispatch/run-job.ts'

const StopText = z.string().min(1).max(256)

const StreamOptions = z.strictObject({
  /** A last chunk with the usage of the whole request. */
  include_usage: z.boolean().nullish(),
  /** Padding of chunks is not supported. */
  include_obfuscation: z
    .literal(false, { error: 'is not supported; only false is accepted' })
    .nullish(),
})

/** Labels of requests and end users. They are accepted and change no answer. */
export const LabelFields = {
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
}

/** Null means absent, as with OpenAI. */
export const SamplingFields = {
  model: z.string().min(1).max(128),
  /** 0 is greedy. @default 1 */
  temperature: z.number().min(0).max(2).nullish(),
  /** @default 1 */
  top_p: z.number().min(0).max(1).nullish(),
  /** Equal seeds give equal text while `system_fingerprint` is the same. */
  seed: z
    .number()
    .refine((seed) => Number.isInteger(seed) && seed >= -(2 ** 63) && seed <= 2 ** 63, {
      error: 'must be an integer of 64 bits',
    })
    .nullish(),
  /** The answer ends before the first of these texts. */
  stop: z
    .union([StopText, z.array(StopText).max(4)], {
      error: 'must be a text or up to four texts, each of 1 to 256 characters',
    })
    .nullish(),
  /** Most tokens of the answer. @default what the model's context holds */
  max_tokens: z.int().min(1).nullish(),
  /** True if the answer comes as server-sent events. */
  stream: z.boolean().nullish(),
  stream_options: StreamOptions.nullish(),
  ...LabelFields,
}

export type Sampling = Readonly<z.infer<z.ZodObject<typeof SamplingFields>>>
const SCHEMA_POINTER = '/response_format/json_schema/schema'

/** The parts that differ between chat and completions. */
interface TextParts extends Pick<TextInput, 'messages' | 'prompt' | 'logprobs' | 'format'> {
  /** Bounds of the answer's tokens, by the member that sets them. */
  readonly bounds: Readonly<Record<string, number | null | undefined>>
  /** @default as many as the model allows */
  readonly maxTokens: number | null | undefined
  readonly faults: readonly FieldFault[]
}

export interface PricedText extends PricedWork {
  readonly work: TextWork
}

/** @throws {AppError} invalid_request with a pointer to each fault, context_length_exceeded */
export function decodeText(
  manifest: ModelManifest,
  request: Sampling,
  { bounds, maxTokens, faults: ownFaults, ...parts }: TextParts,
): PricedText {
  if (manifest.task !== 'chat') {
    const detail = `${manifest.id} writes no text; see GET /v1/models`
    throw invalidAt('/model', detail)
  }
  const mostTokens = Math.min(manifest.contextTokens ?? LIMITS.textTokens, LIMITS.textTokens)
  const faults = [...ownFaults]
  for (const [name, tokens] of Object.entries(bounds).toReversed()) {
    if ((tokens ?? 0) <= mostTokens) continue
    const detail = `is ${tokens}, ${manifest.id} gives at most ${mostTokens}`
    faults.unshift({ pointer: `/${name}`, detail })
  }
  if (request.stream_options != null && request.stream !== true)
    faults.unshift({ pointer: '/stream_options', detail: 'needs "stream": true' })
  if (faults.length > 0) throw invalidRequest(faults)
  const input = { ...parts, ...decodeSampling(request) }
  const priced = priceText(manifest, input, Math.min(maxTokens ?? mostTokens, mostTokens))
  // The node would refuse the same schema, but later and with pointers into the job's own form.
  if (input.format.type === 'json_schema') parseJsonShape(input.format.schema, SCHEMA_POINTER)
  return priced
}

function decodeSampling(
  request: Sampling,
): Pick<TextInput, 'temperature' | 'topP' | 'seed' | 'stop'> {
  const { stop, temperature, top_p: topP } = request
  const seed = typeof request.seed === 'number' ? foldSeed(request.seed) : null
  const rest = { seed, stop: typeof stop === 'string' ? [stop] : [...(stop ?? [])] }
  // A nucleus without probability leaves the likeliest token, which is the greedy choice.
  if (topP === 0) return { ...rest, temperature: 0, topP: 1 }
  return { ...rest, temperature: temperature ?? 1, topP: topP ?? 1 }
}

/** Nodes take seeds from 0 to 2^53 - 1; every other seed is folded into that range. */
function foldSeed(seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0) return seed
  return Number(BigInt.asUintN(53, BigInt(seed)))
}

function priceText(manifest: ModelManifest, input: TextInput, maxTokens: number): PricedText {
  const payload = encodeInput(input)
  const inputBytes = payload.length
  if (inputBytes > LIMITS.textInputBytes) {
    throw new AppError(
      'context_length_exceeded',
      `The request is ${inputBytes} bytes of text; at most ${LIMITS.textInputBytes} are accepted.`,
    )
  }
  const digest = manifestDigest(manifest)
  const work: TextWork = { kind: 'text', model: manifest.id, digest, inputBytes, maxTokens }
  const units = mostTextUnits(inputBytes, maxTokens)
  return { work, payload, units, priceMicroUsd: manifest.priceMicroUsd }
}

function encodeInput(input: TextInput): Uint8Array {
  try {
    return new TextEncoder().encode(JSON.stringify(input))
  } catch (cause) {
    // `JSON.parse` reads nested values in a loop; `JSON.stringify` recurses and runs out of stack.
    throw new AppError('invalid_request', 'The request is nested too deep.', { cause })
  }
}
