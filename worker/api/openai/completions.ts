/** OpenAI's older completions (https://platform.openai.com/docs/api-reference/completions) to a text job. */
import { z } from 'zod'
import type { ModelManifest } from '#shared/job/model.ts'
import { COMPLETION_REFUSALS } from '#worker/body/text-parameters.ts'
import {
  decodeSampling,
  mostTokens,
  priceText,
  SamplingFields,
  streamFaults,
  tokenFault,
  type PricedText,
} from './sampling.ts'
import { invalidRequest } from '#worker/body/faults.ts'
import { parseOpenBody, type OpenBody } from '#worker/body/open-body.ts'
import { ResidencyFields } from '#worker/body/residency.ts'

/** OpenAI's own default. */
const DEFAULT_TOKENS = 16

const Prompt = z.string().min(1, { error: 'is empty, and a text must begin with something' })

/** Loose; `parseOpenBody` judges the members that are not here. */
export const CompletionRequest = z.looseObject({
  ...SamplingFields,
  /** One text, or an array of one: each prompt is a job of its own, with a receipt of its own. */
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
  if (manifest.task !== 'chat') {
    throw invalidRequest([
      { pointer: '/model', detail: `${manifest.id} writes no text; see GET /v1/models` },
    ])
  }
  const faults = [
    ...streamFaults(request),
    ...tokenFault(manifest, '/max_tokens', request.max_tokens),
  ]
  if (faults.length > 0) throw invalidRequest(faults)
  const [prompt] = typeof request.prompt === 'string' ? [request.prompt] : request.prompt
  const input = {
    prompt,
    ...decodeSampling(request),
    logprobs: request.logprobs ?? null,
    format: { type: 'text' as const },
  }
  const maxTokens = request.max_tokens ?? Math.min(DEFAULT_TOKENS, mostTokens(manifest))
  return priceText(manifest, input, maxTokens)
}
