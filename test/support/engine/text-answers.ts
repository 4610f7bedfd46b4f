/** A chat model's manifest, and random answers of such a model as a node's events. */
import fc from 'fast-check'
import { ModelManifest } from '#shared/job/model.ts'
import {
  encodeTextEvent,
  type TextDelta,
  type TextEnd,
  type TokenLogprob,
} from '#shared/job/text.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'

export const CHAT_MANIFEST = ModelManifest.parse({
  ...EMBEDDING_MANIFEST,
  id: 'chat-test',
  title: 'Words after words',
  task: 'chat',
  unit: 'token',
  priceMicroUsd: 3,
  contextTokens: 512,
})

/** A node's events: deltas that make up the text, and the end. */
export interface TextAnswer {
  readonly deltas: readonly TextDelta[]
  readonly end: TextEnd
  readonly text: string
  readonly tokens: number
}

/** Texts in any script, cut into tokens at any byte, so that some tokens end inside a character. */
export function textAnswers(withLogprobs: boolean): fc.Arbitrary<TextAnswer> {
  return fc
    .record({
      text: fc.string({ unit: 'grapheme', maxLength: 40 }),
      cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }),
      group: fc.integer({ min: 1, max: 4 }),
      finish: fc.constantFrom('stop' as const, 'length' as const),
      promptTokens: fc.nat(1_000),
      logprob: fc.double({ min: -30, max: -0.001, noNaN: true }),
    })
    .map(({ text, cuts, group, finish, promptTokens, logprob }) => {
      const tokens = cutBytes(new TextEncoder().encode(text), cuts)
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      const deltas: TextDelta[] = []
      for (let at = 0; at < tokens.length; at += group) {
        const some = tokens.slice(at, at + group)
        deltas.push({
          type: 'delta',
          text: some.map((bytes) => decoder.decode(bytes, { stream: true })).join(''),
          tokens: some.map((bytes) => bytes[0] ?? 0),
          ...(withLogprobs ? { logprobs: some.map((bytes, i) => scored(bytes, logprob - i)) } : {}),
        })
      }
      const end: TextEnd = { type: 'end', finish, promptTokens }
      return { deltas, end, text, tokens: tokens.length }
    })
}

/** The answer's bytes on the wire. */
export function answerBytes({ deltas, end }: TextAnswer): Uint8Array {
  return Buffer.concat([...deltas, end].map(encodeTextEvent))
}

function scored(bytes: Uint8Array, logprob: number): TokenLogprob & { top: TokenLogprob[] } {
  const token = { token: new TextDecoder().decode(bytes), bytes: [...bytes], logprob }
  return {
    ...token,
    top: [token, { token: 'other', bytes: [...Buffer.from('other')], logprob: -40 }],
  }
}

function cutBytes(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = cuts[i % cuts.length] ?? 1
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
