/** Writes a text answer as OpenAI's chat completion: one body, or chunks of a stream. */
import { z } from 'zod'
import type { TextDelta, TokenLogprob } from '#shared/job/text.ts'
import {
  chunkOf,
  FinishReason,
  lastChunks,
  wholeEnd,
  wholeOf,
  writeHead,
  type TextAbout,
  type TextClose,
  type TextDialect,
} from './dialect.ts'

const TopLogprob = z.strictObject({
  token: z.string(),
  logprob: z.number(),
  /** The token's UTF-8 bytes, which may be part of a character. */
  bytes: z.array(z.int()),
})

const ChatLogprobs = z.strictObject({
  content: z.array(TopLogprob.extend({ top_logprobs: z.array(TopLogprob) })),
  refusal: z.null(),
})
type ChatLogprobs = z.infer<typeof ChatLogprobs>

export const ChatCompletion = wholeOf(
  'chat.completion',
  z.strictObject({
    index: z.literal(0),
    message: z.strictObject({
      role: z.literal('assistant'),
      content: z.string(),
      refusal: z.null(),
    }),
    logprobs: ChatLogprobs.nullable(),
    finish_reason: FinishReason,
  }),
)
export type ChatCompletion = z.infer<typeof ChatCompletion>

export const ChatCompletionChunk = chunkOf(
  'chat.completion.chunk',
  z.strictObject({
    index: z.literal(0),
    delta: z.strictObject({
      role: z.literal('assistant').optional(),
      content: z.string().optional(),
    }),
    logprobs: ChatLogprobs.nullable(),
    finish_reason: FinishReason.nullable(),
  }),
)
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>

export const CHAT_DIALECT: TextDialect = {
  whole: writeChat,
  chunks(about) {
    const chunk = (choice: Partial<ChatCompletionChunk['choices'][number]>) => ({
      ...writeHead(about, 'chatcmpl', 'chat.completion.chunk'),
      choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: null, ...choice }],
      ...(about.includeUsage ? { usage: null } : {}),
    })
    return {
      begin: () => [chunk({ delta: { role: 'assistant', content: '' } })],
      delta(delta) {
        const logprobs = writeLogprobs([delta])
        // Tokens inside a character have no text yet, but have log probabilities.
        if (delta.text === '' && logprobs === null) return []
        return [chunk({ delta: { content: delta.text }, logprobs })]
      },
      end: (close) => lastChunks(about, close, chunk({ finish_reason: close.end.finish })),
    }
  },
}

function writeChat(
  about: TextAbout,
  deltas: readonly TextDelta[],
  close: TextClose,
): ChatCompletion {
  return {
    ...writeHead(about, 'chatcmpl', 'chat.completion'),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: deltas.map(({ text }) => text).join(''),
          refusal: null,
        },
        logprobs: writeLogprobs(deltas),
        finish_reason: close.end.finish,
      },
    ],
    ...wholeEnd(close),
  }
}

/** Null when none were requested. */
function writeLogprobs(deltas: readonly TextDelta[]): ChatLogprobs | null {
  if (!deltas.some(({ logprobs }) => logprobs !== undefined)) return null
  const content = deltas
    .flatMap(({ logprobs }) => logprobs ?? [])
    .map(({ top, ...token }) => ({ ...pick(token), top_logprobs: top.map(pick) }))
  return { content, refusal: null }
}

function pick({ token, logprob, bytes }: TokenLogprob) {
  return { token, logprob, bytes }
}
