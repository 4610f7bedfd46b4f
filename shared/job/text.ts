/** Text generation on the wire: the request, the events of the answer, and the price. */
import { z } from 'zod'
import { LIMITS } from '#shared/base/limits.ts'

export const ChatMessage = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.string().max(LIMITS.textInputBytes),
})
export type ChatMessage = z.infer<typeof ChatMessage>

/** Permitted output: any text, any JSON object, or JSON of a schema. */
export const TextFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
])
export type TextFormat = z.infer<typeof TextFormat>

/** The payload of a `text` job: a conversation for the model's chat template, or a bare prompt. */
export const TextInput = z.strictObject({
  messages: z.array(ChatMessage).min(1).max(256).optional(),
  prompt: z.string().optional(),
  /** 0 is greedy. */
  temperature: z.number().min(0).max(2),
  topP: z.number().gt(0).max(1),
  /** Equal seeds give equal text on one adapter. */
  seed: z.int().min(0).nullable(),
  stop: z.array(z.string().min(1).max(256)).max(4),
  /** Alternatives to report for each token: null reports nothing, 0 only the chosen token. */
  logprobs: z.int().min(0).max(20).nullable(),
  format: TextFormat,
})
export type TextInput = z.infer<typeof TextInput>

export const TokenLogprob = z.strictObject({
  token: z.string(),
  /** The token's UTF-8 bytes, which may be part of a character. */
  bytes: z.array(z.int().min(0).max(255)),
  /** Natural logarithm of its probability at temperature 1; at least -9999. */
  logprob: z.number(),
})
export type TokenLogprob = z.infer<typeof TokenLogprob>

/** Generated tokens and the text that they complete; empty inside a character or a possible stop sequence. */
export const TextDelta = z.strictObject({
  type: z.literal('delta'),
  text: z.string(),
  tokens: z.array(z.int().min(0)).max(256),
  logprobs: z
    .array(TokenLogprob.extend({ top: z.array(TokenLogprob).max(20) }))
    .max(256)
    .optional(),
})
export type TextDelta = z.infer<typeof TextDelta>

/** The last event of every answer. */
export const TextEnd = z.strictObject({
  type: z.literal('end'),
  /** `stop`: the model ended or a stop sequence came; `length`: maxTokens or the context is used up. */
  finish: z.enum(['stop', 'length']),
  /** By the node's tokenizer, for information only: nothing is billed by it. */
  promptTokens: z.int().min(0),
})
export type TextEnd = z.infer<typeof TextEnd>

/** One line of the answer's bytes: JSON and a newline. */
export const TextEvent = z.discriminatedUnion('type', [TextDelta, TextEnd])
export type TextEvent = z.infer<typeof TextEvent>

/** Name of a text answer's one output, UINT8 `[bytes]`. */
export const TEXT_OUTPUT = 'events'

const BYTES_PER_UNIT = 4

/**
 * One unit for every four bytes of the request, and of the generated text. Hub and node count bytes that they have seen;
 * the node's own count of tokens does not matter.
 */
export function textUnits(inputBytes: number, textBytes: number): number {
  return Math.ceil(inputBytes / BYTES_PER_UNIT) + Math.ceil(textBytes / BYTES_PER_UNIT)
}

/** The most that a text job is billed, however long its tokens are; the units of its ticket. */
export function mostTextUnits(inputBytes: number, maxTokens: number): number {
  return textUnits(inputBytes, maxTokens * BYTES_PER_UNIT)
}

export function encodeTextEvent(event: TextEvent): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(event)}\n`)
}
