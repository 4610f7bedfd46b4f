/** Streams text while it is written. A stalled reader does not block the device. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEngine } from '#engine/create-engine.ts'
import type { Engine } from '#engine/engine.ts'
import { createOrtSessions, type SessionFactory } from '#engine/runtime/runtime-session.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { silentLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { readText, textJob } from '#test/support/engine/engine-jobs.ts'
import { until } from '../support/poll.ts'
import { runJob } from '#test/support/engine/run-job.ts'

const CONTEXT_TOKENS = 256
let engine: Engine
/** Runs of the model so far: the progress of a text, independent of the machine's speed. */
let runs = 0
const ortSessions = createOrtSessions(ort)
const sessions: SessionFactory = {
  async create(...options) {
    const session = await ortSessions.create(...options)
    return {
      ...session,
      run(feeds) {
        runs += 1
        return session.run(feeds)
      },
    }
  },
}
beforeAll(async () => {
  engine = await createEngine({
    device: undefined,
    adapter: { name: 'cpu', isSoftware: true },
    sessions,
    providers: ['cpu'],
    manifests: MANIFESTS.filter(({ id }) => id === 'littoral-chat-2m').map((manifest) => ({
      ...manifest,
      contextTokens: CONTEXT_TOKENS,
    })),
    loadFile: async (file) => new Uint8Array(await readFile(modelFilePath(file))),
    kernels: 'none',
    log: silentLog,
    now: () => performance.now(),
  })
})
afterAll(() => engine.close())

/** An endless list of numbers: the model cannot stop before it has filled the context. */
const ENDLESS = {
  prompt: 'a',
  format: {
    type: 'json_schema' as const,
    schema: { type: 'array', items: { type: 'integer' }, minItems: 1_000 },
  },
}

test('[G14] events arrive while the text is written, the first token at once', async () => {
  const before = runs
  const runsAtEvent: number[] = []
  const { work, payload } = textJob({ ...ENDLESS, maxTokens: 200 })
  await engine.run(work, payload, {
    signal: new AbortController().signal,
    emit: async () => void runsAtEvent.push(runs - before),
  })
  expect(runs - before).toBeGreaterThanOrEqual(200)
  expect(runsAtEvent[0]).toBeLessThanOrEqual(2)
})

test('[G14] a text ends with `length` when prompt and answer fill the context', async () => {
  const { bytes } = await runJob(engine, textJob({ ...ENDLESS, maxTokens: 4_096 }))
  const { end, tokens } = readText(bytes)
  expect(end?.finish).toBe('length')
  expect((end?.promptTokens ?? 0) + tokens.length).toBe(CONTEXT_TOKENS)
})

test('[G18] a reader that takes nothing loses the job, and the next job runs', async () => {
  const { work, payload } = textJob({ ...ENDLESS, maxTokens: 1_000 })
  const startedMs = performance.now()
  let taken = 0
  const stalled = engine.run(work, payload, {
    signal: new AbortController().signal,
    emit: () => {
      taken += 1
      return new Promise(() => {})
    },
  })
  const next = runJob(engine, textJob({ user: 'hello' }))
  await expect(stalled).rejects.toMatchObject({
    code: 'cancelled',
    detail: expect.stringContaining('taken'),
  })
  expect(performance.now() - startedMs).toBeGreaterThan(9_000)
  expect(taken).toBe(1)
  expect(readText((await next).bytes).text).toContain('Hello!')
})

test('the job fails with the reader’s error, and the device is free', async () => {
  const { work, payload } = textJob({ ...ENDLESS, maxTokens: 1_000 })
  const failing = engine.run(work, payload, {
    signal: new AbortController().signal,
    emit: () => Promise.reject(new Error('the stream is gone')),
  })
  await expect(failing).rejects.toThrow('the stream is gone')
  expect(readText((await runJob(engine, textJob({ user: 'hello' }))).bytes).end).toBeDefined()
})

test('a slow reader gets fewer and longer events, and the whole text', async () => {
  const { work, payload } = textJob({ user: 'what is webgpu?' })
  const chunks: Uint8Array[] = []
  await engine.run(work, payload, {
    signal: new AbortController().signal,
    async emit(bytes) {
      chunks.push(bytes)
      const before = runs
      if (chunks.length === 1) await until('the text has gone on', () => runs - before >= 5)
    },
  })
  const { text, events, tokens } = readText(Buffer.concat(chunks))
  expect(text).toContain('on the GPU.')
  expect(events.length).toBeLessThan(tokens.length)
})
