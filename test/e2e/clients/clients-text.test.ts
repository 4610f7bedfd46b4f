/** Unmodified clients of the text API: Vercel's AI SDK, LangChain, and OpenAI's client in a browser. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { HumanMessage, SystemMessage } from '@langchain/core/messages'
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { APICallError, embed, embedMany, generateText, Output, streamText } from 'ai'
import type OpenAiClient from 'openai'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { openOpenAiPage } from '#test/support/stack/openai-page.ts'
import { useStack } from '#test/support/stack/stack.ts'
import { launchBrowser } from '#test/support/stack/contribute-page.ts'

const CHAT = 'littoral-chat-2m'
const EMBED = 'littoral-embed-400k'
const LIGHT = 'turn on the kitchen light'
const LIGHT_ANSWER = '{"device":"light","room":"kitchen","state":"on"}'
const HELLO_ANSWER = 'Hello! I can control devices, read sensors and answer questions.'
const Command = z.object({ device: z.string(), room: z.string(), state: z.enum(['on', 'off']) })
const COMMAND = { device: 'light', room: 'kitchen', state: 'on' }
const SIMILAR = [LIGHT, 'switch on the light in the kitchen', 'is my data safe?']

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })
beforeAll(async () => {
  const options = ['--models', `${CHAT},${EMBED}`]
  await stack.startNode({ name: 'de', region: 'DE', device: 'cpu', verified: true, options })
})

function dot(a: readonly number[] = [], b: readonly number[] = []): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? Number.NaN), 0)
}

async function failure(call: PromiseLike<unknown>): Promise<unknown> {
  return await call.then(
    () => Promise.reject(new Error('expected a failure')),
    (error: unknown) => error,
  )
}

describe('the AI SDK', () => {
  const littoral = () =>
    createOpenAICompatible({
      name: 'littoral',
      baseURL: `${stack.url}/v1`,
      apiKey: tenant.apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })

  it('generates a text', async () => {
    const { text, usage, finishReason, response } = await generateText({
      model: littoral()(CHAT),
      prompt: LIGHT,
      temperature: 0,
      seed: 3,
      stopSequences: ['never'],
    })
    expect({ text, finishReason }).toEqual({ text: LIGHT_ANSWER, finishReason: 'stop' })
    expect(usage).toMatchObject({ inputTokens: 7, outputTokens: 13, totalTokens: 20 })
    expect(response.modelId).toBe(CHAT)
  })

  it('streams a text, with its usage at the end', async () => {
    const { textStream, usage, finishReason } = streamText({
      model: littoral()(CHAT),
      messages: [{ role: 'user', content: 'hello' }],
      temperature: 0,
    })
    let text = ''
    for await (const delta of textStream) text += delta
    expect(text).toBe(HELLO_ANSWER)
    expect(await finishReason).toBe('stop')
    expect(await usage).toMatchObject({ inputTokens: 5, outputTokens: 13 })
  })

  it('continues a bare prompt', async () => {
    const { text } = await generateText({
      model: littoral().completionModel(CHAT),
      prompt: LIGHT,
      temperature: 0,
      maxOutputTokens: 8,
    })
    expect(text.length).toBeGreaterThan(0)
  })

  it('gets an object of a schema', async () => {
    const { output } = await generateText({
      model: littoral()(CHAT),
      prompt: LIGHT,
      temperature: 0,
      output: Output.object({ schema: Command }),
    })
    expect(output).toEqual(COMMAND)
  })

  it('embeds one text and many', async () => {
    const model = littoral().embeddingModel(EMBED)
    const one = await embed({ model, value: LIGHT })
    const { embeddings, usage } = await embedMany({ model, values: SIMILAR })
    expect(dot(one.embedding, embeddings[0])).toBeCloseTo(1, 4)
    expect(dot(one.embedding, embeddings[1])).toBeGreaterThan(dot(one.embedding, embeddings[2]))
    expect(usage.tokens).toBeGreaterThan(0)
  })

  it('is told by name what is not supported, and does not try again', async () => {
    const error = await failure(
      generateText({ model: littoral()(CHAT), prompt: LIGHT, presencePenalty: 1 }),
    )
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({
      statusCode: 400,
      isRetryable: false,
      message: expect.stringContaining('/presence_penalty') as string,
    })
  })
})

describe('LangChain', () => {
  const access = () => {
    const configuration = { baseURL: `${stack.url}/v1` }
    return { apiKey: tenant.apiKey, maxRetries: 0, configuration }
  }
  const chat = (fields: object = {}) =>
    new ChatOpenAI({ ...access(), model: CHAT, temperature: 0, ...fields })

  it('invokes a chat', async () => {
    const answer = await chat().invoke([new HumanMessage(LIGHT)])
    expect(answer.text).toBe(LIGHT_ANSWER)
    expect(answer.usage_metadata).toMatchObject({ input_tokens: 7, output_tokens: 13 })
    expect(answer.response_metadata).toMatchObject({
      finish_reason: 'stop',
      system_fingerprint: expect.stringMatching(/^fp_/) as string,
    })
  })

  it('streams a chat, with its usage at the end', async () => {
    let text = ''
    const usage: unknown[] = []
    for await (const chunk of await chat().stream('hello')) {
      text += chunk.text
      if (chunk.usage_metadata !== undefined) usage.push(chunk.usage_metadata)
    }
    expect(text).toBe(HELLO_ANSWER)
    expect(usage).toEqual([expect.objectContaining({ input_tokens: 5, output_tokens: 13 })])
  })

  it('gets an object of a schema', async () => {
    const model = chat().withStructuredOutput(Command, { name: 'command', method: 'jsonSchema' })
    expect(await model.invoke(LIGHT)).toEqual(COMMAND)
  })

  it('batches chats under a system message', async () => {
    const answers = await chat().batch([
      [new SystemMessage('Answer in JSON.'), new HumanMessage(LIGHT)],
      [new HumanMessage(LIGHT)],
    ])
    expect(answers.map(({ text }) => text).at(-1)).toBe(LIGHT_ANSWER)
  })

  it('completes a bare prompt, which it sends as an array of one', async () => {
    const model = new OpenAI({ ...access(), model: CHAT, temperature: 0, maxTokens: 8 })
    expect((await model.invoke('<|user|>hello<|assistant|>')).length).toBeGreaterThan(0)
  })

  it('embeds documents and a query', async () => {
    const model = new OpenAIEmbeddings({ ...access(), model: EMBED })
    // More than the client's own batches of 512.
    const filler = Array.from({ length: 600 }, (_, i) => `sensor ${i}`)
    const [a, b, c, ...rest] = await model.embedDocuments([...SIMILAR, ...filler])
    expect(rest).toHaveLength(600)
    expect(dot(await model.embedQuery(LIGHT), a)).toBeCloseTo(1, 4)
    expect(dot(a, b)).toBeGreaterThan(dot(a, c))
  })

  it('is told by name what is not supported', async () => {
    const error = await failure(chat({ n: 2 }).invoke(LIGHT))
    expect(error).toMatchObject({ status: 400, param: 'n' })
  })
})

interface Refusal {
  readonly status: number
  readonly code: string
}

/** Runs inside a page of another origin, so it can use nothing else of this file. */
async function askFromPage({ url, apiKey }: { url: string; apiKey: string }) {
  const { OpenAI } = globalThis as unknown as { OpenAI: typeof OpenAiClient }
  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey,
    dangerouslyAllowBrowser: true,
    organization: 'org-a',
    project: 'proj-b',
    maxRetries: 0,
  })
  const messages = [{ role: 'user' as const, content: 'turn on the kitchen light' }]
  const chat = { model: 'littoral-chat-2m', messages, temperature: 0 }
  const whole = await client.chat.completions
    .create(chat, { headers: { 'x-any-header-at-all': 'yes' }, timeout: 200_000 })
    .withResponse()
  let streamed = ''
  for await (const chunk of await client.chat.completions.create({ ...chat, stream: true }))
    streamed += chunk.choices[0]?.delta.content ?? ''
  const embedded = await client.embeddings.create({ model: 'littoral-embed-400k', input: 'a' })
  const refusal = async (model: string, headers = {}) => {
    const call = client.embeddings.create({ model, input: 'a' }, { headers })
    const { status, code } = (await call.catch((error: unknown) => error)) as Refusal
    return { status, code }
  }
  return {
    whole: whole.data.choices[0]?.message.content,
    receipt: whole.response.headers.get('x-littoral-receipt'),
    timing: whole.response.headers.get('server-timing'),
    streamed,
    dimensions: embedded.data[0]?.embedding.length,
    refused: await refusal('gpt-9'),
    narrowed: await refusal('littoral-embed-400k', { 'x-littoral-residence': 'DE' }),
  }
}

describe('the openai client in a page of another origin', () => {
  it('chats, streams, embeds, reads every header and is told what is wrong', async () => {
    const browser = await launchBrowser({ hasWebGpu: false })
    try {
      const opened = await openOpenAiPage(browser)
      const { url } = stack
      const seen = await opened.page.evaluate(askFromPage, { url, apiKey: tenant.apiKey })
      expect(seen).toEqual({
        whole: LIGHT_ANSWER,
        receipt: expect.stringMatching(/^0x[0-9a-f]{64}$/),
        timing: expect.stringContaining('compute;dur='),
        streamed: LIGHT_ANSWER,
        dimensions: 128,
        refused: { status: 404, code: 'model_not_found' },
        narrowed: { status: 400, code: 'invalid_request' },
      })
      await opened.close()
    } finally {
      await browser.close()
    }
  })
})
