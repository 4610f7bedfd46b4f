/** Text in every engine: the trainer's own answers, stopped, seeded, shaped and bounded. Rules: docs/design/engine.md. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Engine } from '#engine/engine.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import {
  modelJob,
  readText,
  textJob,
  type TextJobOptions,
} from '#test/support/engine/engine-jobs.ts'
import { runJob } from '#test/support/engine/run-job.ts'

interface Pair {
  readonly q: string
  readonly out: string
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../../models/littoral-chat-2m/golden.json', import.meta.url), 'utf8'),
) as readonly object[]
const PAIRS = GOLDEN.filter((entry): entry is Pair => 'q' in entry)
const WEBGPU = 'WebGPU is a web standard for running compute and graphics on the GPU.'
const COMMAND = {
  type: 'object',
  properties: {
    device: { enum: ['light', 'fan', 'heater'] },
    room: { type: 'string' },
    state: { enum: ['on', 'off'] },
    level: { type: ['integer', 'null'] },
  },
  required: ['device', 'room', 'level'],
  additionalProperties: false,
} satisfies Parameters<typeof z.fromJSONSchema>[0]

export function describeText(engine: () => Engine): void {
  const ask = async (options: TextJobOptions) => {
    const { answer, bytes } = await runJob(engine(), textJob(options))
    return { answer, bytes, ...readText(bytes) }
  }

  test.each(PAIRS)('[G13] asked $q, the model gives its trainer’s answer', async (pair) => {
    const { answer, bytes, text, end, tokens } = await ask({ user: pair.q })
    expect(text).toBe(pair.out)
    expect(end).toMatchObject({ finish: 'stop' })
    expect(tokens.length).toBeGreaterThan(2)
    expect(answer.outputs).toEqual([
      { name: 'events', datatype: 'UINT8', shape: [bytes.length], sizeBytes: bytes.length },
    ])
    expect(answer.computeMs).toBeGreaterThan(0)
  })

  test('[G14] a stop sequence ends the text before it, wherever token boundaries are', async () => {
    for (const stop of ['standard', 'b sta', ' ', '.', 'GPU is a w']) {
      const { text, end } = await ask({ user: 'what is webgpu?', stop: ['never', stop] })
      expect(text).toBe(WEBGPU.slice(0, WEBGPU.indexOf(stop)))
      expect(end?.finish).toBe('stop')
    }
    const { text } = await ask({ user: 'what is webgpu?', stop: ['GPU. And more', 'GPU?'] })
    expect(text).toBe(WEBGPU)
  })

  test('[G14] at most the requested number of tokens is written', async () => {
    const { tokens, end, text } = await ask({ user: 'what is webgpu?', maxTokens: 5 })
    expect(tokens.length).toBe(5)
    expect(end?.finish).toBe('length')
    expect(WEBGPU.startsWith(text)).toBe(true)
  })

  test('[G15] equal seeds give equal text, different ones do not', async () => {
    const draw = (seed: number | null) =>
      ask({ prompt: '<|user|>hi', temperature: 1.8, topP: 0.98, seed, maxTokens: 24 })
    const [once, again, other] = [await draw(11), await draw(11), await draw(12)]
    expect(again.tokens).toEqual(once.tokens)
    expect(other.tokens).not.toEqual(once.tokens)
    const [free, freeAgain] = [await draw(null), await draw(null)]
    expect(free.tokens).not.toEqual(freeAgain.tokens)
  })

  test('each token is reported with its bytes, its probability and the likeliest alternatives', async () => {
    const { tokens, text, logprobs } = await ask({ user: 'is my data safe?', logprobs: 4 })
    expect(logprobs.length).toBe(tokens.length)
    expect(Buffer.from(logprobs.flatMap(({ bytes }) => bytes)).toString()).toBe(text)
    for (const { token, logprob, top } of logprobs) {
      expect(top.length).toBe(4)
      expect(top[0]).toMatchObject({ token, logprob })
      expect(top.map((entry) => entry.logprob)).toEqual(
        top.map((entry) => entry.logprob).toSorted((a, b) => b - a),
      )
      expect(top.reduce((sum, entry) => sum + Math.exp(entry.logprob), 0)).toBeLessThan(1.0001)
    }
  })

  test('[G16] JSON follows its schema, whatever the question', async () => {
    const format = { type: 'json_schema' as const, schema: COMMAND }
    const validator = z.fromJSONSchema(COMMAND)
    for (const [user, temperature] of [
      ['set the kitchen heater to 20 percent', 0],
      ['what is webgpu?', 0],
      ['hello', 1.5],
    ] as const) {
      const { text, end } = await ask({ user, temperature, seed: 3, format, maxTokens: 200 })
      if (end?.finish === 'length') continue
      expect(validator.safeParse(JSON.parse(text)), text).toMatchObject({ success: true })
    }
    const free = await ask({ user: 'turn on the kitchen light', format: { type: 'json_object' } })
    expect(JSON.parse(free.text)).toEqual({ device: 'light', room: 'kitchen', state: 'on' })
    expect(free.end?.finish).toBe('stop')
  })

  const refused: readonly (readonly [string, TextJobOptions, RegExp])[] = [
    ['neither messages nor a prompt', {}, /messages/],
    ['both messages and a prompt', { user: 'a', prompt: 'b' }, /messages/],
    ['an empty prompt', { prompt: '' }, /prompt/],
    [
      'a schema outside the supported part',
      { user: 'a', format: { type: 'json_schema', schema: { oneOf: [] } } },
      /oneOf/,
    ],
    ['a fifth stop sequence', { user: 'a', stop: ['a', 'b', 'c', 'd', 'e'] }, /stop/],
    ['a temperature out of range', { user: 'a', temperature: 3 }, /temperature/],
  ]
  test.each(refused)('[G17] a request with %s is refused by name', async (_, options, detail) => {
    await expect(runJob(engine(), textJob(options))).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(detail),
    })
  })

  test.each([
    ['messages', { user: 'hot '.repeat(2_000) }],
    ['prompt', { prompt: 'hot '.repeat(2_000) }],
  ] as const)('[G17] %s longer than the context are refused', async (name, options) => {
    await expect(runJob(engine(), textJob(options))).rejects.toMatchObject({
      code: 'context_length_exceeded',
      detail: expect.stringMatching(/1023 tokens/),
      meta: { errors: [{ pointer: `/${name}` }] },
    })
  })

  test('[G17] a request that is not JSON, or asks a text model for tensors, is refused', async () => {
    const { work } = textJob({ user: 'hi' })
    const payload = new TextEncoder().encode('{"messages":')
    await expect(runJob(engine(), { work, payload })).rejects.toMatchObject({
      code: 'invalid_request',
    })
    const tensors = modelJob('littoral-chat-2m', [[1], encodeBytes(['hi'])])
    await expect(runJob(engine(), tensors)).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('[G4] a cancelled text ends, and the next job runs', async () => {
    const controller = new AbortController()
    const endless = textJob({
      prompt: 'a',
      maxTokens: 1_000,
      format: { type: 'json_schema', schema: { type: 'array', minItems: 1_000 } },
    })
    const running = runJob(engine(), endless, controller.signal)
    setTimeout(() => controller.abort(), 100)
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    expect((await ask({ user: 'what is webgpu?' })).text).toBe(WEBGPU)
  })
}
