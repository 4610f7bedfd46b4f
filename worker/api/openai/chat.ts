/** Turns OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat) into a text job. */
import { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { ChatMessage, type TextFormat } from '#shared/job/text.ts'
import {
  CHAT_REFUSALS,
  MOST_MESSAGES,
  MOST_PARTS,
  refusedMessages,
} from '#worker/body/text-parameters.ts'
import { decodeText, SamplingFields, type PricedText } from './sampling.ts'
import { parseOpenBody, type OpenBody } from '#worker/body/open-body.ts'
import { ResidencyFields } from '#worker/body/residency.ts'

const TextPart = z.looseObject({
  type: z.literal('text', { error: 'must be "text"' }),
  text: z.string(),
})

/** A text, or parts that are joined without a separator. */
const Content = z.union([z.string(), z.array(TextPart).min(1).max(MOST_PARTS)], {
  error: 'must be a text or an array of text parts',
})

const ROLES = ChatMessage.shape.role

const Message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: ROLES.exclude(['assistant']), content: Content }),
    /** A history may hold assistant messages without content. */
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
      description: z.string().nullish(),
      name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
      schema: z.record(z.string(), z.unknown()),
      /** Without effect: the schema is always enforced. */
      strict: z.boolean().nullish(),
    }),
  }),
])

/** Loose, like OpenAI's API; `parseOpenBody` judges unknown members. */
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
  return parseOpenBody(ChatRequest, body, { refusals: CHAT_REFUSALS, look: refusedMessages })
}

/** @throws {AppError} invalid_request with a pointer to each fault, context_length_exceeded */
export function decodeChat(manifest: ModelManifest, request: ChatRequest): PricedText {
  const { max_tokens, max_completion_tokens } = request
  return decodeText(manifest, request, {
    messages: request.messages.map(({ role, content }) => ({ role, content: joinParts(content) })),
    logprobs: request.logprobs === true ? (request.top_logprobs ?? 0) : null,
    format: decodeFormat(request.response_format),
    bounds: { max_tokens, max_completion_tokens },
    maxTokens: max_completion_tokens ?? max_tokens,
    faults: findFaults(request),
  })
}

/** Contradictions between members. */
function findFaults(request: ChatRequest): FieldFault[] {
  const { max_tokens: older, max_completion_tokens: newer, response_format: format } = request
  const faults: FieldFault[] = []
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    const detail = `is ${older}, max_completion_tokens is ${newer}`
    faults.push({ pointer: '/max_tokens', detail })
  }
  if ((format?.type ?? 'text') !== 'text' && (request.stop ?? []).length > 0) {
    const detail = 'would cut the JSON short; give none with a JSON response_format'
    faults.push({ pointer: '/stop', detail })
  }
  if ((request.top_logprobs ?? 0) > 0 && request.logprobs !== true)
    faults.push({ pointer: '/top_logprobs', detail: 'needs "logprobs": true' })
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
