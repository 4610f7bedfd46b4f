/** Chat and completions by the official client, through the whole system. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import OpenAI, { APIUserAbortError } from 'openai'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { textUnits } from '#shared/job/text.ts'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/api/openai/chat-answer.ts'
import { LittoralMember } from '#worker/api/openai/dialect.ts'
import { GREEDY_TEXT } from '#test/support/engine/engine-jobs.ts'
import { until } from '#test/support/poll.ts'
import { apiFailure as failure } from '#test/support/stack/api-failure.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { openOnce } from '#test/support/open-once.ts'

const MODEL = 'littoral-chat-2m'
const KITCHEN = { role: 'user' as const, content: 'turn on the kitchen light' }
const HELLO = { role: 'user' as const, content: 'hello' }
const ASK = { model: MODEL, messages: [KITCHEN], temperature: 0 }
const KITCHEN_ANSWER = '{"device":"light","room":"kitchen","state":"on"}'
/** Under this policy the job goes to the node that writes its first words and then waits. */
const HELD = { model: MODEL, prompt: 'the', temperature: 0, max_tokens: 1_000 }
const AT_HELD = { 'x-littoral-policy': 'open-fr' }

/** Recorded by the model's trainer: questions with their answers, and the logits after one question. */
const golden = JSON.parse(readFileSync(repositoryPath(`models/${MODEL}/golden.json`), 'utf8')) as (
  | { q: string; out: string }
  | { ids: number[]; logits: number[] }
)[]
const PAIRS = golden.flatMap((item) => ('q' in item ? [item] : []))
const LOGITS = golden.flatMap((item) => ('logits' in item ? [item.logits] : []))[0] ?? []

const { stack, tenant } = useStack({
  scopes: ['infer', 'policy', 'audit'],
  policies: [openPolicy('FR'), openPolicy('DE')],
})
const cpu = { device: 'cpu', verified: true, options: ['--models', MODEL] } as const
const program = 'test/support/nodes/held-node.ts'
const node = openOnce(() => stack.startNode({ name: 'de', region: 'DE', ...cpu }))
const holding = openOnce(() => stack.startNode({ name: 'fr', region: 'FR', ...cpu, program }))
let client: OpenAI
beforeAll(() => {
  client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: tenant.apiKey, maxRetries: 0 })
})

/** Codes of the jobs that failed on this node. */
function givenUp(of: NodeProcess): unknown[] {
  return of.lines
    .filter((line) => line.includes('"job.failed"'))
    .map((line) => (JSON.parse(line) as { code: unknown }).code)
}

async function inFlight(): Promise<number> {
  const { body } = await stack.get(tenant, '/v1/network/nodes')
  const nodes = body.nodes as { inFlight: number }[]
  return nodes.reduce((sum, each) => sum + each.inFlight, 0)
}

describe('a chat', () => {
  it.each(PAIRS)('is answered as recorded, whole and streamed: $q', async ({ q, out }) => {
    const request = { ...ASK, messages: [{ role: 'user' as const, content: q }] }
    const { choices, usage } = await client.chat.completions.create(request)
    expect(choices[0]?.message).toEqual({ role: 'assistant', content: out, refusal: null })
    expect(choices[0]?.finish_reason).toBe('stop')
    const stream_options = { include_usage: true }
    const stream = client.chat.completions.stream({ ...request, stream_options })
    const streamed = await stream.finalChatCompletion()
    expect(streamed.choices[0]?.message.content).toBe(out)
    expect(streamed.usage).toEqual(usage)
  })

  it('[O4] names in its last chunk the node, the place and a receipt that can be fetched', async () => {
    const chunks: unknown[] = []
    const streaming = { stream: true, stream_options: { include_usage: true } } as const
    for await (const chunk of await client.chat.completions.create({ ...ASK, ...streaming }))
      chunks.push(chunk)
    const read = chunks.map((chunk) => ChatCompletionChunk.parse(chunk))
    const last = read.at(-1)
    expect(read.slice(0, -1).every(({ littoral }) => littoral === undefined)).toBe(true)
    const littoral = LittoralMember.parse(last?.littoral)
    expect(littoral).toMatchObject({ node: node.nodeId, region: 'DE', provider: 'cpu' })
    const { status, body } = await stack.get(tenant, `/v1/receipts/${littoral.receipt}`)
    expect(status).toBe(200)
    const inputBytes = JSON.stringify({
      messages: [KITCHEN],
      ...GREEDY_TEXT,
    }).length
    const text = read.map(({ choices: [choice] }) => choice?.delta.content ?? '').join('')
    expect(body.receipt).toMatchObject({ receipt: { units: textUnits(inputBytes, text.length) } })
  })

  it('has the same facts in its body and its headers', async () => {
    const { status, headers, body } = await stack.post(tenant, '/v1/chat/completions', ASK)
    expect(status).toBe(200)
    const { littoral, system_fingerprint: fingerprint } = ChatCompletion.parse(body)
    for (const name of ['receipt', 'node', 'region', 'evidence', 'provider'] as const)
      expect(headers.get(`x-littoral-${name}`)).toBe(littoral[name])
    const again = await stack.post(tenant, '/v1/chat/completions', ASK)
    expect(again.body.system_fingerprint).toBe(fingerprint)
  })

  it('reports each token’s probability as the trainer’s logits give it', async () => {
    const request = { ...ASK, logprobs: true, top_logprobs: 5 }
    const { choices } = await client.chat.completions.create(request)
    const tokens = choices[0]?.logprobs?.content ?? []
    expect(tokens.map(({ token }) => token).join('')).toContain(KITCHEN_ANSWER)
    const most = Math.max(...LOGITS)
    const sum = LOGITS.reduce((total, logit) => total + Math.exp(logit - most), 0)
    const best = LOGITS.map((logit) => logit - most - Math.log(sum)).toSorted((a, b) => b - a)
    const top = tokens[0]?.top_logprobs ?? []
    expect(top).toHaveLength(5)
    for (const [i, { logprob }] of top.entries()) expect(logprob).toBeCloseTo(best[i] ?? 0, 3)
  })

  it('ends before a stop text and at its number of tokens', async () => {
    const stopped = await client.chat.completions.create({ ...ASK, stop: ['xyz', 'kitchen'] })
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: '{"device":"light","room":"' },
    })
    const cut = await client.chat.completions.create({ ...ASK, max_completion_tokens: 3 })
    expect(cut.choices[0]?.finish_reason).toBe('length')
    expect(cut.usage?.completion_tokens).toBe(3)
    expect(KITCHEN_ANSWER.startsWith(cut.choices[0]?.message.content ?? '?')).toBe(true)
  })

  it('is the same for the same seed, and differs for others', async () => {
    const say = async (seed: number) => {
      const random = { ...ASK, messages: [HELLO], temperature: 2, max_tokens: 12, seed }
      return (await client.chat.completions.create(random)).choices[0]?.message.content
    }
    const [first, again, ...others] = await Promise.all([7, 7, 8, 9, 10].map(say))
    expect(first).toBe(again)
    expect(new Set([first, ...others]).size).toBeGreaterThan(1)
  })

  it('accepts a message in several text parts', async () => {
    const content = ['what is ', 'webgpu?'].map((text) => ({ type: 'text' as const, text }))
    const messages = [{ role: 'user' as const, content }]
    const { choices } = await client.chat.completions.create({ ...ASK, messages })
    expect(choices[0]?.message.content).toBe(PAIRS.find(({ q }) => q === 'what is webgpu?')?.out)
  })
})

describe('an answer in JSON', () => {
  it('follows a schema that the model was never trained on', async () => {
    const Order = z.strictObject({
      room: z.enum(['kitchen', 'garage']),
      count: z.number(),
      on: z.boolean(),
    })
    const { choices } = await client.chat.completions.parse({
      ...ASK,
      temperature: 2,
      seed: 11,
      max_tokens: 200,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'order', strict: true, schema: z.toJSONSchema(Order) },
      },
    })
    expect(choices[0]?.finish_reason).toBe('stop')
    expect(Order.parse(choices[0]?.message.parsed).room).toMatch(/kitchen|garage/)
  })

  it('is an object when any object is allowed, also streamed', async () => {
    const stream = client.chat.completions.stream({
      ...ASK,
      messages: [HELLO],
      response_format: { type: 'json_object' },
    })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]?.finish_reason).toBe('stop')
    z.looseObject({}).parse(JSON.parse(choices[0]?.message.content ?? ''))
  })

  it('is refused with a pointer into a schema that is not supported', async () => {
    const schema = { type: 'object', patternProperties: { '^a': {} } }
    const response_format = { type: 'json_schema', json_schema: { name: 'a', schema } } as const
    const error = await failure(client.chat.completions.create({ ...ASK, response_format }))
    expect(error).toMatchObject({
      status: 400,
      param: 'response_format.json_schema.schema.patternProperties',
    })
  })
})

describe('a completion', () => {
  it('continues a bare prompt, and reports the offset of each token', async () => {
    const request = {
      model: MODEL,
      prompt: '<|user|>hello<|assistant|>',
      temperature: 0,
      logprobs: 2,
      max_tokens: 64,
    }
    const { choices, usage } = await client.completions.create(request)
    const { out = '' } = PAIRS.find(({ q }) => q === 'hello') ?? {}
    expect(choices[0]).toMatchObject({ text: out, finish_reason: 'stop' })
    const { tokens = [], text_offset: offsets = [] } = choices[0]?.logprobs ?? {}
    for (const [i, token] of tokens.entries()) {
      const offset = offsets[i] ?? -1
      // The end token has an offset but no text.
      if (offset < out.length) expect(out.slice(offset, offset + token.length)).toBe(token)
    }
    let text = ''
    for await (const chunk of await client.completions.create({ ...request, stream: true }))
      text += chunk.choices[0]?.text ?? ''
    expect(text).toBe(out)
    expect(usage?.prompt_tokens).toBe(5)
  })
})

describe('a stream', () => {
  it('delivers its first text while the node still writes its last', async () => {
    const request = { ...HELD, stream: true } as const
    const stream = await client.completions.create(request, { headers: AT_HELD })
    const texts: string[] = []
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.text
      if (text) texts.push(text)
      // The node continues only after its first words have arrived.
      if (texts.length === 1) process.kill(holding.pid, 'SIGUSR2')
    }
    expect(texts).toEqual(['first ', 'last'])
  })

  it('[O6] stops the model on the node when the client aborts in the middle', async () => {
    const before = givenUp(holding).length
    const controller = new AbortController()
    const { signal } = controller
    const left = async () => {
      const request = { ...HELD, stream: true } as const
      const stream = await client.completions.create(request, { signal, headers: AT_HELD })
      for await (const chunk of stream) if (chunk.choices[0]?.text) controller.abort()
    }
    await left().catch((error: unknown) => {
      if (!(error instanceof APIUserAbortError)) throw error
    })
    await until('the node has dropped the job', () => givenUp(holding).length > before)
    expect(givenUp(holding).slice(before)).toEqual(['cancelled'])
    await until('the hub counts it no more', async () => (await inFlight()) === 0)
    const { choices } = await client.chat.completions.create(ASK)
    expect(choices[0]?.message.content).toBe(KITCHEN_ANSWER)
  })
})

describe('an answer that is whole', () => {
  it('[O6] stops the model on the node when the connection is reset before it comes', async () => {
    const before = givenUp(holding).length
    const authorization = `Bearer ${tenant.apiKey}`
    const sent = request(`${stack.url}/v1/completions`, {
      method: 'POST',
      headers: { ...AT_HELD, authorization, 'content-type': 'application/json' },
    })
    const reset = new Promise((resolve) => sent.once('error', resolve))
    sent.end(JSON.stringify(HELD))
    await until('the job is on the node', async () => (await inFlight()) > 0)
    // A proxy resets the stream when its client is gone. A graceful close could also be a half-close.
    sent.socket?.resetAndDestroy()
    await reset
    await until('the node has dropped the job', () => givenUp(holding).length > before)
    expect(givenUp(holding).slice(before)).toEqual(['cancelled'])
  })
})

describe('an error', () => {
  it('names the parameter that is not supported', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'switch_light' } }]
    const error = await failure(client.chat.completions.create({ ...ASK, tools }))
    expect(error).toMatchObject({ status: 400, code: 'invalid_request', param: 'tools' })
    expect(error.type).toBe('invalid_request_error')
  })

  it('[O2] is an ordinary answer, streamed or not, when the node refuses before the first byte', async () => {
    const messages = [{ role: 'user' as const, content: 'hello '.repeat(3_000) }]
    for (const stream of [false, true]) {
      const error = await failure(
        client.chat.completions.create({ model: MODEL, messages, stream }),
      )
      const code = 'context_length_exceeded'
      expect(error).toMatchObject({ status: 400, code, param: 'messages' })
      expect(error.message).toContain('littoral-chat-2m takes 1024 tokens')
    }
  })

  it('says which models chat when the named one does not', async () => {
    const chat = (model: string) =>
      failure(client.chat.completions.create({ model, messages: [KITCHEN] }))
    expect(await chat('gpt-9')).toMatchObject({ status: 404, code: 'model_not_found' })
    expect(await chat('littoral-embed-400k')).toMatchObject({ status: 400, param: 'model' })
  })

  it('[O5] is the last event of a stream whose node is lost in the middle', async () => {
    const request = { ...HELD, stream: true } as const
    const stream = await client.completions.create(request, { headers: AT_HELD })
    let texts = 0
    const error = await failure(
      (async () => {
        for await (const chunk of stream) {
          if (chunk.choices[0]?.text && (texts += 1) === 1) void holding.kill()
        }
      })(),
    )
    expect(texts).toBeGreaterThan(0)
    expect(error).toMatchObject({ code: 'node_lost', type: 'server_error' })
  })
})
