/** OpenAI's chat and completion requests as text jobs. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ERRORS } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { mostTextUnits } from '#shared/job/text.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'
import { CHAT_MANIFEST } from '#test/support/engine/text-answers.ts'
import { chat, complete, HELLO, refusal } from '#test/support/engine/text-requests.ts'
import { CHAT_REFUSALS } from '#worker/body/text-parameters.ts'
import { ChatRequest, decodeChat, parseChat } from '#worker/api/openai/chat.ts'
import { decodeCompletion, parseCompletion } from '#worker/api/openai/completions.ts'

describe('messages', () => {
  it('may be of four roles, with text or parts of text', () => {
    const messages = [
      { role: 'system', content: 'be brief' },
      { role: 'developer', content: 'be kind' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Grüß' },
          { type: 'text', text: ' Gott' },
        ],
      },
      { role: 'assistant', content: '' },
      { role: 'assistant', content: null, refusal: null, tool_calls: null },
      { role: 'assistant' },
    ]
    expect(chat({ messages }).input.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'developer', content: 'be kind' },
      { role: 'user', content: 'Grüß Gott' },
      { role: 'assistant', content: '' },
      { role: 'assistant', content: '' },
      { role: 'assistant', content: '' },
    ])
  })

  const user = (content: unknown) => ({ role: 'user', content })
  const image = { type: 'image_url', image_url: { url: 'x' } }
  it.each<[string, unknown, string]>([
    ['an image', user([{ type: 'text', text: 'see' }, image]), '/content/1/type'],
    ['a recording', user([{ type: 'input_audio', input_audio: {} }]), '/content/0/type'],
    ['a file', user([{ type: 'file', file: {} }]), '/content/0/type'],
    ['a tool’s answer', { role: 'tool', content: 'x', tool_call_id: 'a' }, '/role'],
    ['a tool’s call', { role: 'assistant', content: 'x', tool_calls: [{}] }, '/tool_calls'],
    ['a participant’s name', { ...user('x'), name: 'ann' }, '/name'],
    ['an unknown role', { role: 'oracle', content: 'x' }, '/role'],
    ['no content', user(null), '/content'],
    ['parts without text', user([{ type: 'text' }]), '/content'],
    ['a number for content', user(7), '/content'],
    ['nothing at all', null, ''],
  ])('are refused with a pointer to the fault: %s', (_what, message, pointer) => {
    const { code, pointers } = refusal(() => chat({ messages: [...HELLO, message] }))
    expect(code).toBe('invalid_request')
    expect(pointers).toContain(`/messages/1${pointer}`)
  })

  it.each([[[]], ['hello'], [undefined]])('are refused when there are none: %j', (messages) => {
    expect(refusal(() => chat({ messages })).pointers).toEqual(['/messages'])
  })

  it('are refused for their number, without a fault for each', () => {
    let looks = 0
    const watched = (message: object) =>
      new Proxy(message, {
        get(target, name) {
          looks += 1
          return Reflect.get(target, name) as unknown
        },
      })
    const messages = Array.from({ length: 300_000 }, () => watched({ role: 'tool' }))
    expect(refusal(() => chat({ messages })).pointers).toEqual(['/messages'])
    const content = Array.from({ length: 300_000 }, () => watched({ type: 'image_url' }))
    expect(refusal(() => chat({ messages: [{ role: 'user', content }] })).pointers).toEqual([
      '/messages/0/content',
    ])
    expect(looks).toBeLessThan(1_000)
  })
})

describe('sampling', () => {
  it('has OpenAI’s defaults, and treats null as absent', () => {
    const plain = { temperature: 1, topP: 1, seed: null, stop: [], logprobs: null }
    expect(chat({}).input).toMatchObject({ ...plain, format: { type: 'text' } })
    const nulls = { temperature: null, top_p: null, seed: null, stop: null, max_tokens: null }
    expect(chat({ ...nulls, stream: null, response_format: null }).input).toEqual(chat({}).input)
    expect(complete({}).input).toMatchObject({ ...plain, prompt: 'once' })
  })

  it('passes on temperature, top_p, seed, stop and logprobs', () => {
    const body = { temperature: 0, top_p: 0.5, seed: 7, stop: ['\n', 'END'] }
    expect(chat({ ...body, logprobs: true, top_logprobs: 3 }).input).toMatchObject({
      temperature: 0,
      topP: 0.5,
      seed: 7,
      stop: ['\n', 'END'],
      logprobs: 3,
    })
    expect(chat({ stop: '.', logprobs: true }).input).toMatchObject({ stop: ['.'], logprobs: 0 })
    expect(complete({ logprobs: 2 }).input.logprobs).toBe(2)
  })

  it('accepts signed 64-bit seeds, and maps equal seeds to equal seeds', () => {
    const ends = [-1, -7, -(2 ** 63), 2 ** 63, 2 ** 60]
    const folded = ends.map((seed) => chat({ seed }).input.seed)
    expect(folded.every((seed) => Number.isSafeInteger(seed) && Number(seed) >= 0)).toBe(true)
    expect(ends.map((seed) => chat({ seed }).input.seed)).toEqual(folded)
    expect(folded[0]).not.toBe(folded[1])
    expect(chat({ seed: Number.MAX_SAFE_INTEGER }).input.seed).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('accepts top_logprobs of 0 without logprobs', () => {
    for (const logprobs of [false, null, undefined]) {
      expect(chat({ logprobs, top_logprobs: 0 }).input.logprobs).toBeNull()
    }
  })

  it('is greedy for a top_p of 0', () => {
    expect(chat({ top_p: 0, temperature: 2 }).input).toMatchObject({ temperature: 0, topP: 1 })
  })

  it.each([
    ['temperature', 2.1],
    ['temperature', '1'],
    ['top_p', -0.1],
    ['seed', 1.5],
    ['seed', 2 ** 64],
    ['seed', '7'],
    ['stop', ['a', 'b', 'c', 'd', 'e']],
    ['stop', ''],
    ['stop', [7]],
    ['max_tokens', 0],
    ['max_tokens', 513],
    ['max_completion_tokens', 100_000],
    ['top_logprobs', 21],
    ['top_logprobs', 2],
    ['logprobs', 3],
    ['stream', 'yes'],
    ['stream_options', { include_usage: true }],
  ])('refuses a value outside of its range: %s %j', (name, value) => {
    const { code, pointers } = refusal(() => chat({ [name]: value }))
    expect(code).toBe('invalid_request')
    expect(pointers[0]?.startsWith(`/${name}`)).toBe(true)
  })

  it('refuses to pad a stream’s chunks, and two limits that disagree', () => {
    const padded = { stream: true, stream_options: { include_obfuscation: true } }
    expect(refusal(() => chat(padded)).pointers).toEqual(['/stream_options/include_obfuscation'])
    const limits = { max_tokens: 5, max_completion_tokens: 6 }
    expect(refusal(() => chat(limits)).pointers).toEqual(['/max_tokens'])
  })
})

describe('the form of the answer', () => {
  it('is text, any JSON object, or JSON of a schema', () => {
    expect(chat({ response_format: { type: 'json_object' } }).input.format).toEqual({
      type: 'json_object',
    })
    const schema = {
      type: 'object',
      properties: { level: { type: 'integer' } },
      required: ['level'],
      additionalProperties: false,
    }
    const format = { type: 'json_schema', json_schema: { name: 'level', strict: true, schema } }
    expect(chat({ response_format: format }).input.format).toEqual({ type: 'json_schema', schema })
  })

  it.each([
    [{ type: 'grammar' }, '/response_format/type'],
    [{ type: 'json_schema' }, '/response_format/json_schema'],
    [{ type: 'json_schema', json_schema: { name: 'a' } }, '/response_format/json_schema/schema'],
    [
      { type: 'json_schema', json_schema: { name: 'a b', schema: {} } },
      '/response_format/json_schema/name',
    ],
    ['json', '/response_format'],
  ])('is refused for other values: %j', (response_format, pointer) => {
    expect(refusal(() => chat({ response_format })).pointers).toEqual([pointer])
  })

  it('is refused with a pointer to the unsupported schema keyword', () => {
    const schema = { type: 'object', properties: { level: { type: 'integer', multipleOf: 7 } } }
    const response_format = { type: 'json_schema', json_schema: { name: 'a', schema } }
    expect(refusal(() => chat({ response_format })).pointers).toEqual([
      '/response_format/json_schema/schema/properties/level/multipleOf',
    ])
  })

  it('is refused together with a stop text, which would cut it short', () => {
    const response_format = { type: 'json_object' }
    expect(refusal(() => chat({ response_format, stop: '}' })).pointers).toEqual(['/stop'])
    expect(chat({ response_format, stop: [] }).input.format).toEqual(response_format)
  })

  it('is refused as the caller’s fault when its schema is nested beyond any stack', () => {
    const body = `{"type":"json_schema","json_schema":{"name":"a","schema":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}}}`
    const response_format: unknown = JSON.parse(body)
    const { code } = refusal(() => chat({ response_format }))
    expect(ERRORS).toHaveProperty(code)
    expect(code).toBe('invalid_request')
  })
})

describe('the price', () => {
  it('is bounded by the bytes of the request and the tokens of the answer', () => {
    const { work, units, payload, priceMicroUsd } = chat({ max_tokens: 20 })
    expect(work).toMatchObject({ kind: 'text', model: 'chat-test', maxTokens: 20 })
    expect(work.inputBytes).toBe(payload.length)
    expect(units).toBe(mostTextUnits(payload.length, 20))
    expect(priceMicroUsd).toBe(3)
  })

  it('allows as many tokens as the model holds, or sixteen after a bare prompt', () => {
    expect(chat({}).work.maxTokens).toBe(512)
    expect(chat({ max_completion_tokens: 9 }).work.maxTokens).toBe(9)
    expect(complete({}).work.maxTokens).toBe(16)
    const long = { ...CHAT_MANIFEST, contextTokens: 131_072 }
    expect(chat({}, long).work.maxTokens).toBe(LIMITS.textTokens)
  })

  it('is not computed for a text that is too large for a node', () => {
    const content = 'x'.repeat(LIMITS.textInputBytes)
    const { code, detail } = refusal(() => chat({ messages: [{ role: 'user', content }] }))
    expect(code).toBe('context_length_exceeded')
    expect(detail).toContain(String(LIMITS.textInputBytes))
  })
})

describe('a completion’s prompt', () => {
  it('is one text, alone or in an array', () => {
    expect(complete({ prompt: 'once' }).input).toEqual(complete({ prompt: ['once'] }).input)
    expect(complete({}).input.messages).toBeUndefined()
  })

  it.each([[['a', 'b']], [[1, 2]], [[[1]]], [''], [null], [[]]])('is refused as %j', (prompt) => {
    const { code, pointers } = refusal(() => complete({ prompt }))
    expect({ code, pointers }).toEqual({ code: 'invalid_request', pointers: ['/prompt'] })
  })
})

it('is priced or refused with a named error, for any body', () => {
  const members = [...Object.keys(ChatRequest.shape), ...Object.keys(CHAT_REFUSALS), 'prompt', '']
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(HELLO, 'text', 1, 0, true, null, ['a'], { type: 'json_object' }, 1e300),
  )
  const body = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...members), value),
    fc.dictionary(fc.constantFrom(...members), value, { maxKeys: 3 }).map((some) => ({
      model: 'chat-test',
      messages: HELLO,
      prompt: 'once',
      ...some,
    })),
  )
  const without = (name: string, sent: unknown): unknown => {
    if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) return sent
    return Object.fromEntries(Object.entries(sent).filter(([member]) => member !== name))
  }
  let priced = 0
  const attempt = (run: () => { units: number }) => {
    const { code } = refusal(() => {
      expect(run().units).toBeGreaterThan(0)
      priced += 1
    })
    expect(['none', 'invalid_request', 'context_length_exceeded']).toContain(code)
  }
  fc.assert(
    fc.property(body, (sent) => {
      attempt(() => decodeChat(CHAT_MANIFEST, parseChat(without('prompt', sent)).request))
      attempt(() => {
        const { request } = parseCompletion(without('messages', sent))
        return decodeCompletion(CHAT_MANIFEST, request)
      })
    }),
    { seed: 20_261_122, numRuns: 3_000 },
  )
  expect(priced).toBeGreaterThan(100)
})

it('a model that writes no text is refused with a pointer to the model', () => {
  expect(refusal(() => chat({}, EMBEDDING_MANIFEST)).pointers).toEqual(['/model'])
  expect(refusal(() => complete({}, EMBEDDING_MANIFEST)).pointers).toEqual(['/model'])
})
