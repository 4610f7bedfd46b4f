/** An engine admits only files of the manifest, and providers that compute what it promises. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { createEngine, type EngineOptions } from '#engine/create-engine.ts'
import { createEncoder } from '#engine/models/embedding.ts'
import { createOrtSessions } from '#engine/runtime/runtime-session.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { invariant } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const embedding = MANIFESTS.find(({ id }) => id === 'littoral-embed-400k')
invariant(embedding, 'the embedding model is known')
const [golden] = embedding.golden
invariant(golden?.outputs[0], 'it has a golden case')

/** The manifest with one number of the golden vector moved by `amount`. */
function moved(manifest: ModelManifest, amount: number): ModelManifest {
  const output = golden?.outputs[0]
  invariant(output, 'the golden case has an output')
  const bytes = new Uint8Array(Buffer.from(output.data, 'base64'))
  const floats = new Float32Array(bytes.buffer)
  floats[5] = (floats[5] ?? 0) + amount
  const data = Buffer.from(bytes).toString('base64')
  return { ...manifest, golden: [{ inputs: golden?.inputs ?? [], outputs: [{ ...output, data }] }] }
}

async function open(manifest: ModelManifest, changes: Partial<EngineOptions> = {}) {
  const refusals: string[] = []
  const engine = await createEngine({
    device: undefined,
    adapter: { name: 'cpu', isSoftware: true },
    sessions: createOrtSessions(ort),
    providers: ['cpu'],
    manifests: [manifest],
    loadFile: async (file) => new Uint8Array(await readFile(modelFilePath(file))),
    kernels: 'none',
    log: silentLog,
    now: () => performance.now(),
    onProgress: ({ step, detail }) => {
      if (step === 'refused') refusals.push(detail)
    },
    ...changes,
  })
  const { models } = engine
  await engine.close()
  return { models, refusals }
}

describe('admission', () => {
  test('[G1] a model whose answer is within the tolerance is let in', async () => {
    const { models, refusals } = await open(moved(embedding, embedding.tolerance / 2))
    expect(models).toMatchObject([{ id: embedding.id, provider: 'cpu' }])
    expect(refusals).toEqual([])
  })

  test('[G1] a model whose answer is off by more than the tolerance is left out, with the reason', async () => {
    const { models, refusals } = await open(moved(embedding, embedding.tolerance * 2))
    expect(models).toEqual([])
    expect(refusals).toEqual([expect.stringMatching(/cpu: .*embedding is off by 0\.000(2|19)/)])
  })

  test('[G1] a chat model that says one other token than it should is left out', async () => {
    const chat = MANIFESTS.find(({ task }) => task === 'chat')
    const [first, ...others] = chat?.golden ?? []
    invariant(chat && first?.outputs[0], 'the chat model is known by its golden answers')
    const bytes = Buffer.from(first.outputs[0].data, 'base64')
    bytes.writeBigInt64LE(bytes.readBigInt64LE(24) + 1n, 24)
    const outputs = [{ ...first.outputs[0], data: bytes.toString('base64') }]
    const wrong = { ...chat, golden: [{ ...first, outputs }, ...others] }
    const { models, refusals } = await open(wrong)
    expect(models).toEqual([])
    expect(refusals).toContainEqual(expect.stringMatching(/cpu: .*tokens has other bytes/))
    expect((await open(chat)).models).toMatchObject([{ id: chat.id }])
  })

  test('[G1] a provider that cannot run a model hands it to the next one', async () => {
    const { models, refusals } = await open(embedding, { providers: ['wasm', 'cpu'] })
    expect(models).toMatchObject([{ provider: 'cpu' }])
    expect(refusals).toEqual([expect.stringMatching(/^wasm: /)])
  })

  test("[G12] a file with one other bit is not the manifest's, and its model is left out", async () => {
    const { models, refusals } = await open(embedding, {
      loadFile: async (file) => {
        const bytes = new Uint8Array(await readFile(modelFilePath(file)))
        if (file.name === 'tokenizer.json') bytes[100] = (bytes[100] ?? 0) ^ 1
        return bytes
      },
    })
    expect(models).toEqual([])
    expect(refusals).toEqual([expect.stringContaining('tokenizer.json')])
  })
})

describe('the tokenizer', () => {
  const read = (name: string) =>
    readFile(repositoryPath(`models/littoral-embed-400k/${name}`), 'utf8')

  test("gives the trainer's token ids, whatever the case", async () => {
    const { ids } = JSON.parse(await read('golden.json')) as { ids: number[] }
    const encode = createEncoder({
      tokenizer: await read('tokenizer.json'),
      tokenizerConfig: await read('tokenizer_config.json'),
    })
    expect(encode('turn on the kitchen light')).toEqual(ids)
    expect(encode('Turn ON the Kitchen light')).toEqual(ids)
    expect(encode('kitchen light '.repeat(200)).length).toBeGreaterThanOrEqual(400)
  })
})
