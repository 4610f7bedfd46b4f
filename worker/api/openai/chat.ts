/** OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat) to a text job. */
import { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import { parseJsonShape } from '#shared/job/json-shape.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { ChatMessage, type TextFormat } from '#shared/job/text.ts'
import { CHAT_REFUSALS, MOST_MESSAGES, MOST_PARTS } from '#worker/body/text-parameters.ts'
import { refusedMessages } from '#worker/body/text-parameters.ts'
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

const SCHEMA_POINTER = '/response_format/json_schema/schema'

const TextPart = z.looseObject({
  type: z.literal('text', { error: 'must be "text"' }),
  text: z.string(),
})

/** Text, or parts of it that are put together without anything between them. */
const Content = z.union([z.string(), z.array(TextPart).min(1).max(MOST_PARTS)], {
  error: 'must be a text or an array of text parts',
})

const ROLES = ChatMessage.shape.role

const Message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: ROLES.exclude(['assistant']), content: Content }),
    /** An assistant that said nothing stands in a history without content. */
    z.looseObject({ role: ROLES.extract(['assistant']), content: Content.nullish() }),
  ],
  { error: `must have a role: ${ROLES.options.join(', ')}` },
)

const ResponseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      /** A note: every token is held to the schema, whatever is said about it. */
      description: z.string().nullish(),
      name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
      schema: z.record(z.string(), z.unknown()),
      /** The schema is always kept to, whatever this says. */
      strict: z.boolean().nullish(),
    }),
  }),
])

/** Loose, as OpenAI's own API is; `parseOpenBody` judges the members that are not here. */
export const ChatRequest = z.looseObject({
  ...SamplingFields,
  messages: z.array(Message).min(1).max(MOST_MESSAGES),
  /** The newer name of `max_tokens`. */
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: ResponseFormat.nullish(),
  ...ResidencyFields,
})
export type ChatRequest = z.infer<typeof ChatRequest>

/** @throws {AppError} invalid_request with a pointer to each fault */
export function parseChat(body: unknown): OpenBody<ChatRequest> {
  const faults = refusedMessages(body)
  return parseOpenBody(ChatRequest, body, { refusals: CHAT_REFUSALS, faults })
}

/** @throws {AppError} invalid_request with a pointer to each fault, context_length_exceeded */
export function decodeChat(manifest: ModelManifest, request: ChatRequest): PricedText {
  if (manifest.task !== 'chat') {
    throw invalidRequest([
      { pointer: '/model', detail: `${manifest.id} does not chat; see GET /v1/models` },
    ])
  }
  const faults = [
    ...streamFaults(request),
    ...tokenFaults(manifest, request),
    ...formatFaults(request),
  ]
  const wantsLogprobs = request.logprobs === true
  if ((request.top_logprobs ?? 0) > 0 && !wantsLogprobs) {
    faults.push({ pointer: '/top_logprobs', detail: 'needs "logprobs": true' })
  }
  if (faults.length > 0) throw invalidRequest(faults)
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? mostTokens(manifest)
  const input = {
    messages: request.messages.map(({ role, content }) => ({ role, content: joinParts(content) })),
    ...decodeSampling(request),
    logprobs: wantsLogprobs ? (request.top_logprobs ?? 0) : null,
    format: decodeFormat(request.response_format),
  }
  const priced = priceText(manifest, input, maxTokens)
  // The node would refuse the same, after a way and with pointers into what it was sent.
  if (input.format.type === 'json_schema') parseJsonShape(input.format.schema, SCHEMA_POINTER)
  return priced
}

function formatFaults({ response_format: format, stop }: ChatRequest): FieldFault[] {
  if (format === undefined || format === null || format.type === 'text') return []
  if (stop === undefined || stop === null || stop.length === 0) return []
  const detail = 'would cut the JSON short; give none with a JSON response_format'
  return [{ pointer: '/stop', detail }]
}

function tokenFaults(manifest: ModelManifest, request: ChatRequest): FieldFault[] {
  const { max_tokens: older, max_completion_tokens: newer } = request
  const faults = [
    ...tokenFault(manifest, '/max_tokens', older),
    ...tokenFault(manifest, '/max_completion_tokens', newer),
  ]
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    faults.push({
      pointer: '/max_tokens',
      detail: `is ${older}, max_completion_tokens is ${newer}`,
    })
  }
  return faults
}

function decodeFormat(format: ChatRequest['response_format']): TextFormat {
  if (format?.type === 'json_schema')
    return { type: format.type, schema: format.json_schema.schema }
  return { type: format?.type ?? 'text' }
}

function joinParts(content: ChatRequest['messages'][number]['content']): string {
  if (content === null || content === undefined) return ''
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('')
}
