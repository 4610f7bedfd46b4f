/** Each OpenAI parameter is used, without effect, or refused by name. */
import type { ChatCompletionCreateParams, CompletionCreateParams } from 'openai/resources'
import { describe, expect, it } from 'vitest'
import { chat, complete, refusal } from '#test/support/engine/text-requests.ts'
import { CHAT_REFUSALS, COMPLETION_REFUSALS } from '#worker/body/text-parameters.ts'
import { ChatRequest } from '#worker/api/openai/chat.ts'
import { CompletionRequest } from '#worker/api/openai/completions.ts'

/** Parameters of the openai client and what happens to them here. The compiler finds those of new versions. */
type Fate = 'used' | 'refused' | 'without effect'
const CHAT_FATES: Record<keyof ChatCompletionCreateParams, Fate> = {
  messages: 'used',
  model: 'used',
  logprobs: 'used',
  max_completion_tokens: 'used',
  max_tokens: 'used',
  response_format: 'used',
  seed: 'used',
  stop: 'used',
  stream: 'used',
  stream_options: 'used',
  temperature: 'used',
  top_logprobs: 'used',
  top_p: 'used',
  metadata: 'without effect',
  prompt_cache_key: 'without effect',
  safety_identifier: 'without effect',
  user: 'without effect',
  audio: 'refused',
  frequency_penalty: 'refused',
  function_call: 'refused',
  functions: 'refused',
  logit_bias: 'refused',
  modalities: 'refused',
  moderation: 'refused',
  n: 'refused',
  parallel_tool_calls: 'refused',
  prediction: 'refused',
  presence_penalty: 'refused',
  prompt_cache_options: 'refused',
  prompt_cache_retention: 'refused',
  reasoning_effort: 'refused',
  service_tier: 'refused',
  store: 'refused',
  tool_choice: 'refused',
  tools: 'refused',
  verbosity: 'refused',
  web_search_options: 'refused',
}
const COMPLETION_FATES: Record<keyof CompletionCreateParams, Fate> = {
  model: 'used',
  prompt: 'used',
  logprobs: 'used',
  max_tokens: 'used',
  seed: 'used',
  stop: 'used',
  stream: 'used',
  stream_options: 'used',
  temperature: 'used',
  top_p: 'used',
  user: 'without effect',
  best_of: 'refused',
  echo: 'refused',
  frequency_penalty: 'refused',
  logit_bias: 'refused',
  n: 'refused',
  presence_penalty: 'refused',
  suffix: 'refused',
}

/** A value with an effect for each refused parameter; `{ set: true }` by default. */
const ASKING: Readonly<Record<string, unknown>> = {
  n: 2,
  best_of: 3,
  frequency_penalty: 0.5,
  presence_penalty: -0.5,
  modalities: ['text', 'audio'],
  service_tier: 'flex',
  tool_choice: 'auto',
  suffix: ' the end',
}
const names = (fates: Record<string, Fate>, fate: Fate) =>
  Object.keys(fates).filter((name) => fates[name] === fate)

describe('an unsupported OpenAI parameter', () => {
  it.each([
    ...Object.keys(CHAT_REFUSALS).map((name) => ['chat', name, chat] as const),
    ...Object.keys(COMPLETION_REFUSALS).map((name) => ['completions', name, complete] as const),
  ])('[O1] is refused by name in %s: %s', (_, name, ask) => {
    const { code, pointers, detail } = refusal(() => ask({ [name]: ASKING[name] ?? { set: true } }))
    expect({ code, pointers }).toEqual({ code: 'invalid_request', pointers: [`/${name}`] })
    expect(detail).toContain(name)
  })

  it('[O1] is listed for every parameter that the openai client knows', () => {
    for (const name of names(CHAT_FATES, 'refused')) expect(CHAT_REFUSALS).toHaveProperty(name)
    for (const name of names(COMPLETION_FATES, 'refused'))
      expect(COMPLETION_REFUSALS).toHaveProperty(name)
    for (const name of names(CHAT_FATES, 'used')) expect(ChatRequest.shape).toHaveProperty(name)
    for (const name of names(COMPLETION_FATES, 'used'))
      expect(CompletionRequest.shape).toHaveProperty(name)
  })

  it('passes with its neutral value, as many clients send it', () => {
    const neutral = {
      n: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: {},
      store: false,
      service_tier: 'auto',
      tool_choice: 'none',
      modalities: ['text'],
      tools: null,
      audio: null,
    }
    expect(chat(neutral).input).toEqual(chat({}).input)
    expect(complete({ n: 1, best_of: 1, echo: false, suffix: null }).input).toEqual(
      complete({}).input,
    )
  })

  it('is reported together with all others in one answer', () => {
    const { pointers } = refusal(() => chat({ tools: [], n: 3, logit_bias: { 5: 1 } }))
    expect(pointers.toSorted()).toEqual(['/logit_bias', '/n', '/tools'])
  })

  it('differs from an unknown label, which passes', () => {
    const ours = { user: 'sensor-7', metadata: { a: 'b' }, safety_identifier: 'x', my_field: [1] }
    expect(chat(ours).input).toEqual(chat({}).input)
  })
})
