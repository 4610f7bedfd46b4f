/** Chat and completions by the official client, through the whole system: what is said, how it comes, how it ends. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import OpenAI, { APIError, APIUserAbortError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { textUnits } from '#shared/job/text.ts'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/api/openai/chat-answer.ts'
import { LittoralMember } from '#worker/api/openai/dialect.ts'
import { until } from '#test/support/poll.ts'
import { createTestStack, openPolicy, type TestStack } from '#test/support/stack/stack.ts'

const MODEL = 'littoral-chat-2m'
const KITCHEN = { role: 'user' as const, content: 'turn on the kitchen light' }
const KITCHEN_ANSWER = '{"device":"light","room":"kitchen","state":"on"}'
/** Under this policy the text is written by the node that begins it and holds it. */
const HELD = { model: MODEL, prompt: 'the', temperature: 0, max_tokens: 1_000 }
const AT_HELD = { 'x-littoral-policy': 'open-fr' }

/** What the model's trainer recorded: questions with their answers, and the logits after one of them. */
const golden = JSON.parse(readFileSync(repositoryPath(`models/${MODEL}/golden.json`), 'utf8')) as (
  | { q: string; out: string }
  | { ids: number[]; logits: number[] }
)[]
const PAIRS = golden.flatMap((item) => ('q' in item ? [item] : []))
const LOGITS = golden.flatMap((item) => ('logits' in item ? [item.logits] : []))[0] ?? []

let stack: TestStack
let tenant: Tenant
let node: NodeProcess
let holding: NodeProcess
let client: OpenAI
beforeAll(async () => {
  stack = await createTestStack()
  tenant = await stack.createTenant('acme', ['infer', 'policy', 'audit'])
  await stack.pin(tenant, openPolicy('FR'))
  await stack.pin(tenant, openPolicy('DE'))
  const cpu = { device: 'cpu', verified: true, options: ['--models', MODEL] } as const
  const program = 'test/support/hub/held-node.ts'
  ;[node, holding] = await Promise.all([
    stack.startNode({ name: 'de', region: 'DE', ...cpu }),
    stack.startNode({ name: 'fr', region: 'FR', ...cpu, program }),
  ])
  client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: tenant.apiKey, maxRetries: 0 })
})
afterAll(() => stack?.close())

async function failure(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof APIError) return error
  throw new Error(`expected an API error, got ${String(error)}`)
}

/** Codes with which this node gave up jobs. */
function givenUp(of: NodeProcess): unknown[] {
  return of.lines
    .filter((line) => line.includes('"job.failed"'))
    .map((line) => (JSON.parse(line) as { code: unknown }).code)
}

/** Jobs that the hub counts as running. */
async function inFlight(): Promise<number> {
  const { body } = await stack.get(tenant, '/v1/network')
  const nodes = body.nodes as { inFlight: number }[]
  return nodes.reduce((sum, each) => sum + each.inFlight, 0)
}

describe('a chat', () => {
  it.each(PAIRS)(
    'is answered as its trainer recorded, whole and streamed: $q',
    async ({ q, out }) => {
      const request = {
        model: MODEL,
        messages: [{ role: 'user' as const, content: q }],
        temperature: 0,
      }
      const { choices, usage } = await client.chat.completions.create(request)
      expect(choices[0]?.message).toEqual({ role: 'assistant', content: out, refusal: null })
      expect(choices[0]?.finish_reason).toBe('stop')
      const stream = client.chat.completions.stream({
        ...request,
        stream_options: { include_usage: true },
      })
      const streamed = await stream.finalChatCompletion()
      expect(streamed.choices[0]?.message.content).toBe(out)
      expect(streamed.usage).toEqual(usage)
    },
  )

  it('[O4] names in its last chunk the node, the place and a receipt that can be fetched', async () => {
    const chunks: unknown[] = []
    for await (const chunk of await client.chat.completions.create({
      model: MODEL,
      messages: [KITCHEN],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      chunks.push(chunk)
    }
    const read = chunks.map((chunk) => ChatCompletionChunk.parse(chunk))
    const last = read.at(-1)
    expect(read.slice(0, -1).every(({ littoral }) => littoral === undefined)).toBe(true)
    const littoral = LittoralMember.parse(last?.littoral)
    expect(littoral).toMatchObject({ node: node.nodeId, region: 'DE', provider: 'cpu' })
    const { status, body } = await stack.get(tenant, `/v1/receipts/${littoral.receipt}`)
    expect(status).toBe(200)
    const inputBytes = JSON.stringify({
      messages: [KITCHEN],
      temperature: 0,
      topP: 1,
      seed: null,
      stop: [],
      logprobs: null,
      format: { type: 'text' },
    }).length
    const text = read.map(({ choices: [choice] }) => choice?.delta.content ?? '').join('')
    expect(body.receipt).toMatchObject({ receipt: { units: textUnits(inputBytes, text.length) } })
  })

  it('says the same in its body, its headers and its receipt', async () => {
    const { status, headers, body } = await stack.post(tenant, '/v1/chat/completions', {
      model: MODEL,
      messages: [KITCHEN],
      temperature: 0,
    })
    expect(status).toBe(200)
    const { littoral, system_fingerprint: fingerprint } = ChatCompletion.parse(body)
    expect(headers.get('x-littoral-receipt')).toBe(littoral.receipt)
    expect(headers.get('x-littoral-node')).toBe(littoral.node)
    expect(headers.get('x-littoral-region')).toBe(littoral.region)
    expect(headers.get('x-littoral-evidence')).toBe(littoral.evidence)
    expect(headers.get('x-littoral-provider')).toBe(littoral.provider)
    const again = await stack.post(tenant, '/v1/chat/completions', {
      model: MODEL,
      messages: [KITCHEN],
    })
    expect(again.body.system_fingerprint).toBe(fingerprint)
  })

  it('tells each token’s probability as the trainer’s logits give it', async () => {
    const { choices } = await client.chat.completions.create({
      model: MODEL,
      messages: [KITCHEN],
      temperature: 0,
      logprobs: true,
      top_logprobs: 5,
    })
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
    const stopped = await client.chat.completions.create({
      model: MODEL,
      messages: [KITCHEN],
      temperature: 0,
      stop: ['xyz', 'kitchen'],
    })
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: '{"device":"light","room":"' },
    })
    const cut = await client.chat.completions.create({
      model: MODEL,
      messages: [KITCHEN],
      temperature: 0,
      max_completion_tokens: 3,
    })
    expect(cut.choices[0]?.finish_reason).toBe('length')
    expect(cut.usage?.completion_tokens).toBe(3)
    expect(KITCHEN_ANSWER.startsWith(cut.choices[0]?.message.content ?? '?')).toBe(true)
  })

  it('is the same for the same seed, and another for others', async () => {
    const say = async (seed: number) =>
      (
        await client.chat.completions.create({
          model: MODEL,
          messages: [{ role: 'user', content: 'hello' }],
          temperature: 2,
          max_tokens: 12,
          seed,
        })
      ).choices[0]?.message.content
    const [first, again, ...others] = await Promise.all([7, 7, 8, 9, 10].map(say))
    expect(first).toBe(again)
    expect(new Set([first, ...others]).size).toBeGreaterThan(1)
  })

  it('takes a message in parts of text', async () => {
    const { choices } = await client.chat.completions.create({
      model: MODEL,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is ' },
            { type: 'text', text: 'webgpu?' },
          ],
        },
      ],
      temperature: 0,
    })
    expect(choices[0]?.message.content).toBe(PAIRS.find(({ q }) => q === 'what is webgpu?')?.out)
  })
})

describe('an answer in JSON', () => {
  it('keeps to a schema that the model was never trained on', async () => {
    const Order = z.strictObject({
      room: z.enum(['kitchen', 'garage']),
      count: z.number(),
      on: z.boolean(),
    })
    const { choices } = await client.chat.completions.parse({
      model: MODEL,
      messages: [KITCHEN],
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

  it('is an object when any will do, streamed as well', async () => {
    const stream = client.chat.completions.stream({
      model: MODEL,
      messages: [{ role: 'user', content: 'hello' }],
      temperature: 0,
      response_format: { type: 'json_object' },
    })
    const { choices } = await stream.finalChatCompletion()
    const [choice] = choices
    expect(choice?.finish_reason).toBe('stop')
    expect(z.looseObject({}).safeParse(JSON.parse(choice?.message.content ?? '')).success).toBe(
      true,
    )
  })

  it('is refused with a pointer into the schema when no text can be held to it', async () => {
    const schema = { type: 'object', patternProperties: { '^a': {} } }
    const error = await failure(
      client.chat.completions.create({
        model: MODEL,
        messages: [KITCHEN],
        response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
      }),
    )
    expect(error).toMatchObject({
      status: 400,
      param: 'response_format.json_schema.schema.patternProperties',
    })
  })
})

describe('a completion', () => {
  it('continues a bare prompt, and says where each token stands', async () => {
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
      // The end token has a place, and no text.
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
  it('brings its first text while the node still writes its last', async () => {
    const request = { ...HELD, stream: true } as const
    const stream = await client.completions.create(request, { headers: AT_HELD })
    const texts: string[] = []
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.text
      if (text) texts.push(text)
      // The node goes on only once its first words are here.
      if (texts.length === 1) process.kill(holding.pid, 'SIGUSR2')
    }
    expect(texts).toEqual(['first ', 'last'])
  })

  it('[O6] stops the model on the node when the client leaves in the middle', async () => {
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
    await until('the node has given the job up', () => givenUp(holding).length > before)
    expect(givenUp(holding).slice(before)).toEqual(['cancelled'])
    await until('the hub counts it no more', async () => (await inFlight()) === 0)
    const next = { model: MODEL, messages: [KITCHEN], temperature: 0 }
    const { choices } = await client.chat.completions.create(next)
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
    // What a proxy does when its own client has gone. A polite close could also be half of one.
    sent.socket?.resetAndDestroy()
    await reset
    await until('the node has given the job up', () => givenUp(holding).length > before)
    expect(givenUp(holding).slice(before)).toEqual(['cancelled'])
  })
})

describe('an error', () => {
  it('names the parameter that is not supported', async () => {
    const error = await failure(
      client.chat.completions.create({
        model: MODEL,
        messages: [KITCHEN],
        tools: [{ type: 'function', function: { name: 'switch_light' } }],
      }),
    )
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

  it('says which models chat when the one that was named does not', async () => {
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
