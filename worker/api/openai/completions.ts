/** Turns OpenAI's older completions (https://platform.openai.com/docs/api-reference/completions) into a text job. */
import { z } from 'zod'
import type { ModelManifest } from '#shared/job/model.ts'
import { COMPLETION_REFUSALS } from '#worker/body/text-parameters.ts'
import { decodeText, SamplingFields, type PricedText } from './sampling.ts'
import { parseOpenBody, type OpenBody } from '#worker/body/open-body.ts'
import { ResidencyFields } from '#worker/body/residency.ts'

/** OpenAI's default. */
const DEFAULT_TOKENS = 16

const Prompt = z.string().min(1, { error: 'must not be empty' })

/** Loose; `parseOpenBody` judges unknown members. */
export const CompletionRequest = z.looseObject({
  ...SamplingFields,
  /** One text, or an array of one: each prompt is a job with its own receipt. */
  prompt: z.union([Prompt, z.tuple([Prompt])], {
    error: 'must be one text that is not empty, or an array of one; tokens are not supported',
  }),
  /** @default 16 */
  max_tokens: SamplingFields.max_tokens,
  /** Alternatives to report for each token. */
  logprobs: z.int().min(0).max(5).nullish(),
  ...ResidencyFields,
})
export type CompletionRequest = z.infer<typeof CompletionRequest>

/** @throws {AppError} invalid_request with a pointer to each fault */
export function parseCompletion(body: unknown): OpenBody<CompletionRequest> {
  return parseOpenBody(CompletionRequest, body, { refusals: COMPLETION_REFUSALS })
}

/** @throws {AppError} invalid_request with a pointer to each fault, context_length_exceeded */
export function decodeCompletion(manifest: ModelManifest, request: CompletionRequest): PricedText {
  const { max_tokens, logprobs } = request
  const [prompt] = typeof request.prompt === 'string' ? [request.prompt] : request.prompt
  return decodeText(manifest, request, {
    prompt,
    logprobs: logprobs ?? null,
    format: { type: 'text' },
    bounds: { max_tokens },
    maxTokens: max_tokens ?? DEFAULT_TOKENS,
    faults: [],
  })
}
