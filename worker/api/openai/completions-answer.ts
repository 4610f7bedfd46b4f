/** Writes a text answer as OpenAI's older completion; body and chunks have one shape. */
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

const Logprobs = z.strictObject({
  /** Token texts, or `bytes:\xe2\x82` for a token that is part of a character. */
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  /** Offset of each token in the answer, in code points. */
  text_offset: z.array(z.int()),
})
type Logprobs = z.infer<typeof Logprobs>

const Choice = z.strictObject({
  index: z.literal(0),
  text: z.string(),
  logprobs: Logprobs.nullable(),
  finish_reason: FinishReason.nullable(),
})

export const Completion = wholeOf('text_completion', Choice.extend({ finish_reason: FinishReason }))
export type Completion = z.infer<typeof Completion>

export const CompletionChunk = chunkOf('text_completion', Choice)
export type CompletionChunk = z.infer<typeof CompletionChunk>

export const COMPLETION_DIALECT: TextDialect = {
  whole: writeCompletion,
  chunks(about) {
    const write = createLogprobWriter()
    const chunk = (choice: Partial<CompletionChunk['choices'][number]>) => ({
      ...writeHead(about, 'cmpl', 'text_completion'),
      choices: [{ index: 0, text: '', logprobs: null, finish_reason: null, ...choice }],
      ...(about.includeUsage ? { usage: null } : {}),
    })
    return {
      begin: () => [],
      delta(delta) {
        const logprobs = write([delta])
        if (delta.text === '' && logprobs === null) return []
        return [chunk({ text: delta.text, logprobs })]
      },
      end: (close) => lastChunks(about, close, chunk({ finish_reason: close.end.finish })),
    }
  },
}

function writeCompletion(
  about: TextAbout,
  deltas: readonly TextDelta[],
  close: TextClose,
): Completion {
  return {
    ...writeHead(about, 'cmpl', 'text_completion'),
    choices: [
      {
        index: 0,
        text: deltas.map(({ text }) => text).join(''),
        logprobs: createLogprobWriter()(deltas),
        finish_reason: close.end.finish,
      },
    ],
    ...wholeEnd(close),
  }
}

/** Keeps the text offset between chunks. */
function createLogprobWriter(): (deltas: readonly TextDelta[]) => Logprobs | null {
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  let offset = 0
  return (deltas) => {
    if (!deltas.some(({ logprobs }) => logprobs !== undefined)) return null
    const out: Logprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] }
    for (const token of deltas.flatMap(({ logprobs }) => logprobs ?? [])) {
      out.tokens.push(tokenName(token))
      out.token_logprobs.push(token.logprob)
      out.top_logprobs.push(alternatives([token, ...token.top]))
      out.text_offset.push(offset)
      offset += Array.from(decoder.decode(Uint8Array.from(token.bytes), { stream: true })).length
    }
    return out
  }
}

function alternatives(tokens: readonly TokenLogprob[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token) => [tokenName(token), token.logprob]))
}

function tokenName({ token, bytes }: TokenLogprob): string {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
    return token
  } catch {
    return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  }
}
