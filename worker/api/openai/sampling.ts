/** The members that chat and completions share: how tokens are chosen, where the text ends, how the answer travels. */
import { z } from 'zod'
import { AppError, type FieldFault } from '#shared/base/errors.ts'
import type { TextWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { manifestDigest, type ModelManifest } from '#shared/job/model.ts'
import { mostTextUnits, type TextInput } from '#shared/job/text.ts'

const StopText = z.string().min(1).max(256)

const StreamOptions = z.strictObject({
  /** A last chunk with the usage of the whole request. */
  include_usage: z.boolean().nullish(),
  /** Padding of chunks is not supported. */
  include_obfuscation: z
    .literal(false, { error: 'is not supported; only false is accepted' })
    .nullish(),
})

/** Accepted and not used: they tell requests and end users apart, and change no answer. */
export const LabelFields = {
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
}

/** Null is as good as absent, as with OpenAI. */
export const SamplingFields = {
  model: z.string().min(1).max(128),
  /** 0 is greedy. @default 1 */
  temperature: z.number().min(0).max(2).nullish(),
  /** @default 1 */
  top_p: z.number().min(0).max(1).nullish(),
  /** Equal seeds give equal text as long as `system_fingerprint` is the same. */
  seed: z
    .number()
    .refine((seed) => Number.isInteger(seed) && seed >= -(2 ** 63) && seed <= 2 ** 63, {
      error: 'must be an integer of 64 bits',
    })
    .nullish(),
  /** One text or up to four; the answer ends before the first that comes. */
  stop: z
    .union([StopText, z.array(StopText).max(4)], {
      error: 'must be a text or up to four texts, each of 1 to 256 characters',
    })
    .nullish(),
  /** Tokens of the answer at most. @default as many as the model's context holds */
  max_tokens: z.int().min(1).nullish(),
  /** Whether the answer comes as server-sent events. */
  stream: z.boolean().nullish(),
  stream_options: StreamOptions.nullish(),
  ...LabelFields,
}

interface Sampling {
  readonly temperature?: number | null | undefined
  readonly top_p?: number | null | undefined
  readonly seed?: number | null | undefined
  readonly stop?: string | readonly string[] | null | undefined
}

/** The part of a text job's input that these members decide. */
export function decodeSampling(
  request: Sampling,
): Pick<TextInput, 'temperature' | 'topP' | 'seed' | 'stop'> {
  const { stop, temperature, top_p: topP } = request
  const seed = typeof request.seed === 'number' ? foldSeed(request.seed) : null
  const rest = { seed, stop: typeof stop === 'string' ? [stop] : [...(stop ?? [])] }
  // Of a nucleus of no probability the likeliest token is left: greedy choice.
  if (topP === 0) return { ...rest, temperature: 0, topP: 1 }
  return { ...rest, temperature: temperature ?? 1, topP: topP ?? 1 }
}

/** Nodes take the seeds from 0 on that JavaScript keeps exact; the others each get one of those. */
function foldSeed(seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0) return seed
  return Number(BigInt.asUintN(53, BigInt(seed)))
}

/** Faults that lie between the members rather than in one of them. */
export function streamFaults(request: {
  readonly stream?: boolean | null | undefined
  readonly stream_options?: object | null | undefined
}): FieldFault[] {
  const { stream, stream_options: options } = request
  if (options === undefined || options === null || stream === true) return []
  return [{ pointer: '/stream_options', detail: 'needs "stream": true' }]
}

/** Most tokens that an answer of this model can have. */
export function mostTokens(manifest: ModelManifest): number {
  return Math.min(manifest.contextTokens ?? LIMITS.textTokens, LIMITS.textTokens)
}

export function tokenFault(
  manifest: ModelManifest,
  pointer: string,
  tokens: number | null | undefined,
): FieldFault[] {
  const most = mostTokens(manifest)
  if (tokens === undefined || tokens === null || tokens <= most) return []
  return [{ pointer, detail: `is ${tokens}, ${manifest.id} gives at most ${most}` }]
}

/** What a text job is to the rest of the Worker: its work, its bytes, and the most that it can cost. */
export interface PricedText {
  readonly work: TextWork
  readonly payload: Uint8Array
  readonly units: number
  readonly priceMicroUsd: number
}

/** @throws {AppError} context_length_exceeded when the text is more than a node takes, invalid_request when it is nested too deep */
export function priceText(
  manifest: ModelManifest,
  input: TextInput,
  maxTokens: number,
): PricedText {
  const payload = encodeInput(input)
  const inputBytes = payload.length
  if (inputBytes > LIMITS.textInputBytes) {
    throw new AppError(
      'context_length_exceeded',
      `The request is ${inputBytes} bytes of text; at most ${LIMITS.textInputBytes} are taken.`,
    )
  }
  const work: TextWork = {
    kind: 'text',
    model: manifest.id,
    digest: manifestDigest(manifest),
    inputBytes,
    maxTokens,
  }
  const units = mostTextUnits(inputBytes, maxTokens)
  return { work, payload, units, priceMicroUsd: manifest.priceMicroUsd }
}

function encodeInput(input: TextInput): Uint8Array {
  try {
    return new TextEncoder().encode(JSON.stringify(input))
  } catch (cause) {
    // A parser reads nested values in a loop, a writer calls itself: some thousand levels end its stack.
    throw new AppError('invalid_request', 'The request is nested too deep.', { cause })
  }
}
