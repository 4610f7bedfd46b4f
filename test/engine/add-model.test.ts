/** `npm run models -- add` from a folder, a package and a hub, with golden cases from the real runner, and its refusals. */
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addModel, type AddOptions } from '#scripts/models/add-model.ts'
import { openLayout, type Layout } from '#scripts/models/layout.ts'
import { readOnnxFacts } from '#scripts/models/onnx-facts.ts'
import { writeOnnx } from '#test/support/engine/onnx-writer.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { makeRandomLlama } from '#test/support/engine/random-llama.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { startFileServer, type FileServer } from '#test/support/engine/file-server.ts'

const EMBEDDING = MANIFESTS.find(({ id }) => id === 'littoral-embed-400k')
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

let dir: string
let hub: FileServer
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'littoral-add-'))
  hub = await startFileServer()
})
afterEach(async () => {
  await hub.close()
  rmSync(dir, { recursive: true })
})

const open = (where: string) =>
  openLayout(where, { modelHub: hub.url, revision: 'main', cacheFolder: join(dir, 'cache') })
const add = async (where: string, options: Partial<AddOptions> = {}) =>
  addModel({ layout: await open(where), known: MANIFESTS, ...options })

/** A repository of the hub: its API answer and its files. */
function publish(name: string, files: ReadonlyMap<string, Uint8Array>, card: object = {}): void {
  const sha = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00'
  const siblings = [...files].map(([rfilename, bytes]) => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const isLarge = /\.onnx(_data)?$/.test(rfilename)
    return { rfilename, ...(isLarge ? { lfs: { sha256, size: bytes.length } } : {}) }
  })
  hub.put(`/api/models/${name}/revision/main?blobs=true`, {
    bytes: text({ sha, siblings, cardData: card }),
  })
  for (const [path, bytes] of files) hub.put(`/${name}/resolve/${sha}/${path}`, { bytes })
}

function llama(): Map<string, Uint8Array> {
  return new Map(
    [...makeRandomLlama('q4f16', 3)].map(([name, bytes]) => [
      name.startsWith('model') ? `onnx/${name}` : name,
      bytes,
    ]),
  )
}

/** A model layout of these files, for invalid cases. */
function layoutOf(files: Readonly<Record<string, Uint8Array>>): Layout {
  return {
    name: 'made-up',
    paths: Object.keys(files),
    licence: 'MIT',
    source: (path) => `models/made-up/${path}`,
    read: async (path) => files[path] ?? new Uint8Array(),
  }
}

describe('adding a model', () => {
  it('[F9] from a folder finds the task, the files, the limits, and the answers that the known manifest has', async () => {
    const { manifest, copies } = await add(repositoryPath('models/littoral-embed-400k'), {
      id: 'embed-again',
      licence: 'Apache-2.0',
    })
    expect(manifest).toMatchObject({
      id: 'embed-again',
      task: 'embedding',
      files: EMBEDDING?.files,
      outputs: EMBEDDING?.outputs,
      requires: { f16: false },
    })
    expect(manifest.golden).toEqual(EMBEDDING?.golden)
    expect(manifest.requires?.bufferBytes).toBeGreaterThan(10_000)
    expect(copies.size).toBe(0)
  })

  it('[F9] from a folder outside the repository brings the files along', async () => {
    cpSync(repositoryPath('models/littoral-embed-400k'), join(dir, 'Tiny Embed'), {
      recursive: true,
    })
    const { manifest, copies } = await add(join(dir, 'Tiny Embed'), { licence: 'Apache-2.0' })
    expect(manifest.id).toBe('tiny-embed')
    expect(manifest.files[0]?.sources).toEqual(['models/tiny-embed/onnx/model.onnx'])
    expect([...copies.keys()]).toContain('onnx/model.onnx')
  })

  it('[F9] from the hub pins the commit and takes half floats, 4-bit weights and weights beside the graph', async () => {
    publish('acme/Tiny-Llama', llama(), { license: 'apache-2.0' })
    const file = [...llama().keys()].find((path) => path.endsWith('.onnx'))
    const { manifest } = await add('acme/Tiny-Llama', { file })
    expect(manifest).toMatchObject({
      id: 'tiny-llama',
      task: 'chat',
      licence: 'apache-2.0',
      contextTokens: 512,
      requires: { f16: true },
    })
    const names = manifest.files.map(({ name }) => name)
    expect(names).toContain('model.onnx')
    expect(names.some((name) => name.endsWith('.onnx_data'))).toBe(true)
    for (const { sources } of manifest.files)
      expect(sources[0]).toMatch(/^hf:acme\/Tiny-Llama@c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00\//)
    expect(manifest.golden.length).toBeGreaterThan(0)
  })

  it.each([
    ['without a licence', {}, 'names no licence'],
    ['by an id that is taken', { licence: 'MIT', id: 'littoral-embed-400k' }, 'already'],
    ['for an unknown task', { licence: 'MIT', task: 'weather' }, 'weather'],
    ['with a missing graph', { licence: 'MIT', file: 'onnx/no.onnx' }, 'onnx/model.onnx'],
  ])('[F10] is refused %s', async (_, options, words) => {
    const id = 'embed-again'
    await expect(
      add(repositoryPath('models/littoral-embed-400k'), { id, ...options }),
    ).rejects.toMatchObject({ code: 'invalid_request', detail: expect.stringContaining(words) })
  })

  it('[F10] is refused for an architecture without a known task, by its name', async () => {
    const layout = layoutOf({
      'config.json': text({ architectures: ['WhisperForConditionalGeneration'] }),
    })
    await expect(addModel({ layout, known: MANIFESTS })).rejects.toMatchObject({
      detail: expect.stringContaining('WhisperForConditionalGeneration'),
    })
  })

  it.each(['../secret.bin', '/etc/passwd', 'sub/weights.bin', '..'])(
    '[F10] is refused when its graph keeps weights in "%s"',
    async (location) => {
      const tensor = {
        name: 'w',
        type: 'float',
        dims: [1024],
        bytes: new Uint8Array(4096),
      } as const
      const graph = { inputs: [], outputs: [], nodes: [], tensors: [tensor] }
      const { model, external } = writeOnnx(graph, location)
      const layout = layoutOf({
        'config.json': text({ architectures: ['BertModel'] }),
        'onnx/model.onnx': model,
        'tokenizer.json': text({}),
        'tokenizer_config.json': text({}),
        'secret.bin': external,
      })
      await expect(addModel({ layout, known: MANIFESTS })).rejects.toMatchObject({
        code: 'invalid_request',
        detail: expect.stringContaining('outside its own folder'),
      })
      expect(readOnnxFacts(model)).toEqual({ largestTensorBytes: 4096, usesF16: false })
    },
  )

  it('[F10] is refused when the runtime cannot run it, in the runtime’s words', async () => {
    const layout = layoutOf({
      'config.json': text({ architectures: ['BertModel'] }),
      'onnx/model.onnx': text('not a graph'),
      'tokenizer.json': new Uint8Array(
        readFileSync(repositoryPath('models/littoral-embed-400k/tokenizer.json')),
      ),
      'tokenizer_config.json': text({}),
    })
    await expect(addModel({ layout, known: MANIFESTS })).rejects.toThrow()
  })

  it('[F10] is refused when the place has no such model', async () => {
    await expect(open('acme/none')).rejects.toMatchObject({ code: 'not_found' })
    await expect(open('npm:no-such-package')).rejects.toMatchObject({ code: 'not_found' })
  })
})
