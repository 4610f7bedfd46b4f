/** Text answers as OpenAI's bodies and chunks. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { createTextMeter } from '#shared/job/text-meter.ts'
import type { TextDelta } from '#shared/job/text.ts'
import { placeIn } from '#test/support/hub/place.ts'
import { answerBytes, textAnswers, type TextAnswer } from '#test/support/engine/text-answers.ts'
import {
  CHAT_DIALECT,
  ChatCompletion,
  ChatCompletionChunk,
} from '#worker/api/openai/chat-answer.ts'
import { closeText, type TextClose, type TextDialect } from '#worker/api/openai/dialect.ts'
import {
  Completion,
  COMPLETION_DIALECT,
  CompletionChunk,
} from '#worker/api/openai/completions-answer.ts'

const SEED = 20_261_122
const DIGEST = Bytes32.parse(`0x${'12'.repeat(32)}`)
const OUTCOME: Parameters<typeof closeText>[0] = {
  receiptId: Bytes32.parse(`0x${'34'.repeat(32)}`),
  nodeId: NodeId.parse('12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'),
  place: placeIn('DE'),
  answer: {
    outputs: [],
    provider: 'cpu',
    adapter: { name: 'onnxruntime', isSoftware: true },
    computeMs: 1,
  },
}
const ABOUT = { jobId: 'job_1', createdSeconds: 1_800_000_000, model: 'chat-test' }

function close({ end, tokens }: TextAnswer): TextClose {
  return closeText(OUTCOME, DIGEST, { end, tokens })
}

function chunksOf(dialect: TextDialect, answer: TextAnswer, includeUsage = false): object[] {
  const chunks = dialect.chunks({ ...ABOUT, includeUsage })
  return [
    ...chunks.begin(),
    ...answer.deltas.flatMap((delta) => chunks.delta(delta)),
    ...chunks.end(close(answer)),
  ]
}

function whole(dialect: TextDialect, answer: TextAnswer): object {
  return dialect.whole({ ...ABOUT, includeUsage: false }, answer.deltas, close(answer))
}

function check(withLogprobs: boolean, property: (answer: TextAnswer) => void): void {
  fc.assert(fc.property(textAnswers(withLogprobs), property), { seed: SEED, numRuns: 300 })
}

describe('a text answer', () => {
  it('[O3] has equal content as a chat body and as chat chunks', () => {
    check(false, (answer) => {
      const body = ChatCompletion.parse(whole(CHAT_DIALECT, answer))
      const chunks = chunksOf(CHAT_DIALECT, answer).map((chunk) => ChatCompletionChunk.parse(chunk))
      const choices = chunks.flatMap((chunk) => chunk.choices)
      expect(body.choices[0].message.content).toBe(answer.text)
      expect(choices.map(({ delta }) => delta.content ?? '').join('')).toBe(answer.text)
      expect(choices[0]?.delta.role).toBe('assistant')
      expect(choices.map(({ finish_reason: reason }) => reason)).toEqual([
        ...choices.slice(1).map(() => null),
        answer.end.finish,
      ])
      expect(body.choices[0].finish_reason).toBe(answer.end.finish)
      expect(new Set([body.id, ...chunks.map(({ id }) => id)])).toEqual(new Set(['chatcmpl-job_1']))
      expect(chunks.at(-1)).toMatchObject({
        system_fingerprint: body.system_fingerprint,
        littoral: body.littoral,
      })
    })
  })

  it('[O3] has equal content as a completion body and as completion chunks', () => {
    check(false, (answer) => {
      const body = Completion.parse(whole(COMPLETION_DIALECT, answer))
      const chunks = chunksOf(COMPLETION_DIALECT, answer).map((c) => CompletionChunk.parse(c))
      const choices = chunks.flatMap((chunk) => chunk.choices)
      expect(body.choices[0].text).toBe(answer.text)
      expect(choices.map(({ text }) => text).join('')).toBe(answer.text)
      expect(choices.at(-1)?.finish_reason).toBe(answer.end.finish)
    })
  })

  it('has its token usage in the body and, if requested, in the last chunk only', () => {
    check(false, (answer) => {
      const usage = {
        prompt_tokens: answer.end.promptTokens,
        completion_tokens: answer.tokens,
        total_tokens: answer.end.promptTokens + answer.tokens,
      }
      for (const dialect of [CHAT_DIALECT, COMPLETION_DIALECT]) {
        expect(whole(dialect, answer)).toMatchObject({ usage })
        const asked = chunksOf(dialect, answer, true)
        expect(asked.at(-1)).toMatchObject({ choices: [], usage, littoral: { provider: 'cpu' } })
        for (const chunk of asked.slice(0, -1)) {
          expect(chunk).toMatchObject({ usage: null })
          expect(chunk).not.toHaveProperty('littoral')
        }
        for (const chunk of chunksOf(dialect, answer)) expect(chunk).not.toHaveProperty('usage')
      }
    })
  })

  it('keeps each token’s probability and bytes, whether or not it completes a character', () => {
    check(true, (answer) => {
      const body = ChatCompletion.parse(whole(CHAT_DIALECT, answer))
      const tokens = body.choices[0].logprobs?.content ?? []
      const streamed = chunksOf(CHAT_DIALECT, answer)
        .flatMap((chunk) => ChatCompletionChunk.parse(chunk).choices)
        .flatMap(({ logprobs }) => logprobs?.content ?? [])
      expect(streamed).toEqual(tokens)
      expect(tokens).toHaveLength(answer.tokens)
      const bytes = Uint8Array.from(tokens.flatMap((token) => token.bytes))
      expect(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)).toBe(
        answer.text,
      )
      for (const token of tokens) expect(token.top_logprobs).toHaveLength(2)
    })
  })

  it('has each token’s offset and alternatives in completions', () => {
    check(true, (answer) => {
      const { logprobs } = Completion.parse(whole(COMPLETION_DIALECT, answer)).choices[0]
      const streamed = chunksOf(COMPLETION_DIALECT, answer)
        .flatMap((chunk) => CompletionChunk.parse(chunk).choices)
        .flatMap((choice) => choice.logprobs?.text_offset ?? [])
      expect(streamed).toEqual(logprobs?.text_offset ?? [])
      const characters = Array.from(answer.text)
      for (const [i, offset] of streamed.entries()) {
        const name = logprobs?.tokens[i] ?? ''
        expect(offset).toBeLessThan(characters.length)
        expect(logprobs?.top_logprobs[i]).toHaveProperty([name], logprobs?.token_logprobs[i])
        if (name.startsWith('bytes:')) continue
        expect(characters.slice(offset).join('').startsWith(name)).toBe(true)
      }
    })
  })

  it('is complete however its bytes were split', () => {
    fc.assert(
      fc.property(textAnswers(true), fc.integer({ min: 1, max: 64 }), (answer, sizeBytes) => {
        const meter = createTextMeter(answer.tokens)
        const bytes = answerBytes(answer)
        const deltas: TextDelta[] = []
        for (let at = 0; at < bytes.length; at += sizeBytes)
          for (const event of meter.push(bytes.subarray(at, at + sizeBytes)))
            if (event.type === 'delta') deltas.push(event)
        expect({ deltas, ...meter.finish() }).toEqual({
          deltas: answer.deltas,
          end: answer.end,
          tokens: answer.tokens,
          textBytes: new TextEncoder().encode(answer.deltas.map(({ text }) => text).join(''))
            .length,
        })
      }),
      { seed: SEED, numRuns: 100 },
    )
  })
})

describe('the fingerprint', () => {
  const answer: TextAnswer = {
    deltas: [],
    end: { type: 'end', finish: 'stop', promptTokens: 1 },
    text: '',
    tokens: 0,
  }
  const fingerprint = (change: object, digest = DIGEST) =>
    closeText({ ...OUTCOME, answer: { ...OUTCOME.answer, ...change } }, digest, answer).fingerprint

  it('changes only with the model, the provider and the adapter', () => {
    const base = fingerprint({})
    expect(base).toMatch(/^fp_[0-9a-f]{12}$/)
    expect(fingerprint({ computeMs: 99 })).toBe(base)
    const others = [
      fingerprint({ provider: 'webgpu' }),
      fingerprint({ adapter: { name: 'other', isSoftware: true } }),
      fingerprint({}, Bytes32.parse(`0x${'56'.repeat(32)}`)),
    ]
    expect(new Set([base, ...others]).size).toBe(4)
  })

  it('comes with receipt, node, region, evidence and provider', () => {
    expect(close(answer).littoral).toEqual({
      receipt: OUTCOME.receiptId,
      node: OUTCOME.nodeId,
      region: 'DE',
      evidence: 'observed; source=edge',
      provider: 'cpu',
    })
  })
})
