/** Work in pieces of a device's time: how many, how long, and where a stopped job ends. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createEmbeddingRunner } from '#engine/models/embedding.ts'
import { createPieces } from '#engine/pace/pieces.ts'
import type { RuntimeSession } from '#engine/runtime/runtime-session.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { createFakeClock } from './fake-clock.ts'

const MODEL = new URL('../../../models/littoral-embed-400k/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, MODEL), 'utf8')

/** A model on a device with fixed times for each run and each token. */
function createDevice(runMs: number, tokenMs: number) {
  const clock = createFakeClock()
  const runsMs: number[] = []
  let afterRun = () => {}
  const session = {
    inputs: [],
    outputNames: ['hidden'],
    release: () => Promise.resolve(),
    async run({ input_ids: ids }: Record<string, { readonly dims: readonly number[] }>) {
      const [rows = 0, width = 0] = ids?.dims ?? []
      const ms = runMs + rows * width * tokenMs
      clock.add(ms)
      runsMs.push(ms)
      afterRun()
      const data = new Float32Array(rows * width).fill(1)
      return { hidden: { location: 'cpu', type: 'float32', data, dims: [rows, width, 1] } }
    },
  } as unknown as RuntimeSession
  const runner = createEmbeddingRunner({
    session,
    now: clock.now,
    tokenizer: read('tokenizer.json'),
    tokenizerConfig: read('tokenizer_config.json'),
  })
  return { runner, runsMs, onRun: (heard: () => void) => (afterRun = heard) }
}

const LONG = 'set the kitchen fan and the garage pump to forty percent please '.repeat(4)
const texts = (count: number) => [{ shape: [count], bytes: encodeBytes(Array(count).fill(LONG)) }]
const NEVER = new AbortController().signal

test.each([
  ['a fast GPU', 2, 0.001],
  ['a slow one', 5, 0.1],
  ['a processor that emulates one', 10, 1.2],
])(
  '[C5] on %s no run of 200 texts takes the device for longer than a piece',
  async (_, run, token) => {
    const { runner, runsMs } = createDevice(run, token)
    const [output] = await runner.run(texts(200), NEVER)
    expect(output?.shape).toEqual([200, 1])
    expect(Math.max(...runsMs)).toBeLessThanOrEqual(LIMITS.pieceMs)
  },
)

test('[C5] a fast device gets larger and larger pieces, up to 32 texts', async () => {
  const { runner, runsMs } = createDevice(2, 0.001)
  await runner.run(texts(200), NEVER)
  expect(runsMs.length).toBeLessThan(14)
})

test('a text with too many tokens is refused with both numbers, and nothing runs', async () => {
  const { runner, runsMs } = createDevice(2, 0.001)
  const bytes = encodeBytes(['light', `${'light '.repeat(64)}light`])
  await expect(runner.run([{ shape: [2], bytes }], NEVER)).rejects.toMatchObject({
    code: 'context_length_exceeded',
    detail: expect.stringMatching(/65 tokens.* at most 64/) as string,
    meta: { errors: [{ pointer: '/inputs/0/data/1' }] },
  })
  expect(runsMs).toEqual([])
})

test('[C5] a stopped job ends with its current piece', async () => {
  const { runner, runsMs, onRun } = createDevice(10, 1)
  const stop = new AbortController()
  onRun(() => {
    if (runsMs.length === 3) stop.abort()
  })
  await expect(runner.run(texts(200), stop.signal)).rejects.toMatchObject({ code: 'cancelled' })
  expect(runsMs).toHaveLength(3)
})

test('a learned size stays fixed where the last bits of the answer depend on it', async () => {
  const clock = createFakeClock()
  const pieces = createPieces({ first: 64, most: 512, learns: 2, now: clock.now })
  const run = (ms: number) => pieces.time(64, async () => clock.add(ms))
  await run(5)
  await run(5)
  const learned = pieces.size()
  await run(500)
  expect(pieces.size()).toBe(learned)
})
