/** The text runner against the trainer's numbers, and against an untrained Llama in the hub's layout. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { createModelRunner } from '#engine/models/runner.ts'
import { createOrtSessions, type SessionFactory } from '#engine/runtime/runtime-session.ts'
import { createDecoder, DecoderConfig } from '#engine/models/text/decoder.ts'
import { argmax } from '#engine/models/text/sample.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { makeRandomLlama, type Precision } from '#test/support/engine/random-llama.ts'
import type { Provider } from '#shared/job/job.ts'
import type { TextInput } from '#shared/job/text.ts'
import { GREEDY_TEXT, readText } from '#test/support/engine/engine-jobs.ts'

const sessions = createOrtSessions(ort)
const NEVER = new AbortController().signal
const CHAT = 'models/littoral-chat-2m'

describe('the decoder', () => {
  const open = async (factory: SessionFactory, provider: Provider = 'cpu') => {
    const config = DecoderConfig.parse(
      JSON.parse(await readFile(repositoryPath(`${CHAT}/config.json`), 'utf8')),
    )
    const graph = await readFile(repositoryPath(`${CHAT}/onnx/model.onnx`))
    return createDecoder(await factory.create(graph, provider), config)
  }
  const golden = async () => {
    const entries = JSON.parse(
      await readFile(repositoryPath(`${CHAT}/golden.json`), 'utf8'),
    ) as readonly { ids?: number[]; logits?: number[] }[]
    const { ids = [], logits = [] } = entries.find((entry) => 'ids' in entry) ?? {}
    return { ids, logits }
  }

  test("[G13] gives the trainer's logits, in one run and token by token", async () => {
    const decoder = await open(sessions)
    const { ids, logits } = await golden()
    expect(ids.length).toBe(7)
    const atOnce = await decoder.start().feed(ids, NEVER)
    const sequence = decoder.start()
    let stepped = new Float32Array()
    for (const id of ids) stepped = new Float32Array(await sequence.feed([id], NEVER))
    for (const actual of [atOnce, stepped]) {
      const worst = Math.max(...logits.map((value, i) => Math.abs(value - (actual[i] ?? NaN))))
      expect(worst).toBeLessThan(1e-4)
    }
  })

  test('a long prompt gives the same logits in pieces as in one run', async () => {
    const { ids } = await golden()
    const long = Array.from({ length: 700 }, (_, i) => ids[i % ids.length] ?? 0)
    const decoder = await open(sessions)
    const inPieces = await decoder.start().feed(long, NEVER)
    const sequence = decoder.start()
    await sequence.feed(long.slice(0, 399), NEVER)
    const otherwise = await sequence.feed(long.slice(399), NEVER)
    const worst = Math.max(...inPieces.map((value, i) => Math.abs(value - (otherwise[i] ?? NaN))))
    expect(worst).toBeLessThan(1e-3)
    expect(argmax(inPieces)).toBe(argmax(otherwise))
  })
})

describe.each<Precision>(['f32', 'f16', 'q4f16'])(
  'a Llama 3.2 of random weights in %s',
  (precision) => {
    const load = (files = makeRandomLlama(precision, 5)) =>
      createModelRunner({
        manifest: { id: 'random-llama', task: 'chat' },
        files,
        sessions,
        provider: 'cpu',
      })
    const ask = async (input: Partial<TextInput>, files?: Map<string, Uint8Array>) => {
      const loaded = await load(files)
      const lines: Uint8Array[] = []
      try {
        await loaded.runner.generate?.({
          input: {
            messages: [
              { role: 'developer', content: 'You are terse. ' },
              { role: 'user', content: 'is it hot?' },
            ],
            ...GREEDY_TEXT,
            ...input,
          },
          maxTokens: 24,
          signal: NEVER,
          emit: async (line) => void lines.push(line),
          now: () => performance.now(),
        })
      } finally {
        await loaded.release()
      }
      return readText(Buffer.concat(lines))
    }

    test('writes the same tokens every time, and different ones with other weights', async () => {
      const [once, again] = [await ask({}), await ask({})]
      const other = await ask({}, makeRandomLlama(precision, 6))
      expect(once.tokens.length).toBeGreaterThan(8)
      expect(again.tokens).toEqual(once.tokens)
      expect(other.tokens).not.toEqual(once.tokens)
      expect(new Set(once.tokens).size).toBeGreaterThan(3)
    })

    test('gives the same tokens with kept keys and values as in fresh runs', async () => {
      const files = makeRandomLlama(precision, 5)
      const config = DecoderConfig.parse(
        JSON.parse(new TextDecoder().decode(files.get('config.json'))),
      )
      const name = [...files.keys()].find((file) => file.endsWith('.onnx')) ?? ''
      const graph = files.get(name) ?? new Uint8Array()
      const session = await sessions.create(graph, 'cpu', { external: files })
      const decoder = createDecoder(session, config)
      const kept = decoder.start()
      const ids = [1, 40, 200, 77]
      let logits = await kept.feed(ids, NEVER)
      for (let step = 0; step < 8; step++) {
        const fresh = await decoder.start().feed(ids, NEVER)
        const worst = Math.max(...fresh.map((value, i) => Math.abs(value - (logits[i] ?? NaN))))
        expect(worst).toBeLessThan(precision === 'f32' ? 1e-4 : 0.05)
        const next = argmax(logits)
        ids.push(next)
        logits = await kept.feed([next], NEVER)
      }
      await session.release()
    })
  },
)

describe('external weights', () => {
  test('come from the files of the manifest only', async () => {
    const files = makeRandomLlama('q4f16', 5)
    files.delete('model_q4f16.onnx_data')
    const loading = createModelRunner({
      manifest: { id: 'random-llama', task: 'chat' },
      files,
      sessions,
      provider: 'cpu',
    })
    await expect(loading).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining('model_q4f16.onnx_data'),
    })
  })
})
