/** Model files on disk: sources, resumed downloads, refusals and eviction. Rules: docs/design/models.md. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createModelStore, type ModelStoreOptions } from '#local-node/models/model-store.ts'
import { silentLog } from '#shared/base/log.ts'
import type { ModelFile } from '#shared/job/model.ts'
import { startFileServer, type FileServer } from '#test/support/engine/file-server.ts'
import { seededBytes } from '#test/support/hub/work.ts'

const SIZE = 300_000
const RIGHT = seededBytes(SIZE, 7)
const WRONG = seededBytes(SIZE, 8)
const never = new AbortController().signal

let dir: string
let hub: FileServer

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-store-'))
  hub = await startFileServer()
})
afterEach(async () => {
  await hub.close()
  await rm(dir, { recursive: true, force: true })
})

const hashOf = (bytes: Uint8Array) =>
  `0x${createHash('sha256').update(bytes).digest('hex')}` as ModelFile['sha256']

function file(sources: string[], bytes: Uint8Array = RIGHT): ModelFile {
  return { name: 'model.onnx', sha256: hashOf(bytes), sizeBytes: bytes.length, sources }
}
const onHub = (name: string) => `hf:acme/${name}@main/onnx/model.onnx`
const path = (name: string) => `/acme/${name}/resolve/main/onnx/model.onnx`

const open = (options: Partial<ModelStoreOptions> = {}) =>
  createModelStore({
    folder: join(dir, 'cache'),
    root: join(dir, 'root'),
    modelHub: hub.url,
    log: silentLog,
    ...options,
  })

/** Fetches a file that no earlier call has, and checks its bytes. */
async function fetchRight(sources: string[], options: Partial<ModelStoreOptions> = {}) {
  const held = await (await open(options)).fetch(file(sources), { signal: never })
  expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
}
const ranges = () => hub.requests.map(({ range }) => range)

describe('a store of model files', () => {
  it('[F1] fetches in the model hub’s layout, keeps the file under its hash and fetches it only once', async () => {
    hub.put(path('a'), { bytes: RIGHT })
    const pieces: number[] = []
    const store = await open()
    const held = await store.fetch(file([onHub('a')]), {
      signal: never,
      onBytes: (n) => pieces.push(n),
    })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
    expect(pieces.reduce((sum, n) => sum + n, 0)).toBe(SIZE)
    await (await open()).fetch(file([onHub('a')]), { signal: never })
    expect(hub.requests.length).toBe(1)
    expect(await readdir(join(dir, 'cache'))).toEqual([hashOf(RIGHT)])
  })

  it('[F1] uses a file of the repository or of a package in place, without a copy', async () => {
    await mkdir(join(dir, 'root/models/m'), { recursive: true })
    await mkdir(join(dir, 'root/node_modules/@scope/pkg/onnx'), { recursive: true })
    await writeFile(join(dir, 'root/node_modules/@scope/pkg/onnx/model.onnx'), RIGHT)
    const sources = ['models/m/model.onnx', 'npm:@scope/pkg/onnx/model.onnx']
    const held = await (await open()).fetch(file(sources), { signal: never })
    expect(held.path).toBe(join(dir, 'root/node_modules/@scope/pkg/onnx/model.onnx'))
    expect(await readdir(join(dir, 'cache'))).toEqual([])
  })

  it('[F2] resumes where the connection was cut, and fetches no byte twice', async () => {
    hub.put(path('a'), { bytes: RIGHT, cutAfterBytes: 100_000, cuts: 2 })
    await fetchRight([onHub('a')])
    expect(ranges()).toEqual([undefined, 'bytes=100000-', 'bytes=200000-'])
  })

  it('[F2] resumes after a restart what an earlier run had fetched', async () => {
    await mkdir(join(dir, 'cache'), { recursive: true })
    await writeFile(join(dir, 'cache', `${hashOf(RIGHT)}.part`), RIGHT.subarray(0, 123_456))
    hub.put(path('a'), { bytes: RIGHT })
    // Room for the file, but not for the file and its part.
    await fetchRight([onHub('a')], { limitBytes: SIZE + 1_000 })
    expect(ranges()).toEqual(['bytes=123456-'])
  })

  it('[F2] starts again when a server does not support ranges', async () => {
    hub.put(path('a'), { bytes: RIGHT, cutAfterBytes: 100_000, ignoresRanges: true })
    await fetchRight([onHub('a')])
  })

  it('[F3] moves from a source that stalls, fails or is gone to the next one, and keeps the bytes that it sent', async () => {
    hub.put(path('stalls'), { bytes: RIGHT, stallAfterBytes: 50_000 })
    hub.put(path('errs'), { bytes: RIGHT, status: 503 })
    hub.put(path('right'), { bytes: RIGHT })
    const sources = [onHub('stalls'), onHub('errs'), onHub('gone'), onHub('right')]
    await fetchRight(sources, { stallMs: 300 })
    expect(hub.requests.at(-1)).toEqual({ path: path('right'), range: 'bytes=50000-' })
  })

  it('[F3] asks the operator’s Worker when no source of the manifest works', async () => {
    hub.put(`/models/${hashOf(RIGHT)}`, { bytes: RIGHT })
    await fetchRight([onHub('gone')], { origin: hub.url })
  })

  it('[F4] refuses a wrong file and fetches the right one from the next source', async () => {
    hub.put(path('wrong'), { bytes: WRONG })
    hub.put(path('right'), { bytes: RIGHT })
    await fetchRight([onHub('wrong'), onHub('right')])
    expect(hub.requests.map(({ path: asked }) => asked)).toEqual([path('wrong'), path('right')])
  })

  it('[F4] replaces a wrong beginning by the file of the right source', async () => {
    hub.put(path('wrong'), { bytes: WRONG, stallAfterBytes: 50_000 })
    hub.put(path('right'), { bytes: RIGHT })
    await fetchRight([onHub('wrong'), onHub('right')], { stallMs: 200 })
  })

  it.each([
    ['other bytes', WRONG],
    ['more bytes', seededBytes(SIZE + 1, 7)],
  ])(
    '[F4] fails with file_corrupt when every source has %s, and keeps nothing',
    async (_, bytes) => {
      hub.put(path('a'), { bytes })
      const store = await open()
      await expect(store.fetch(file([onHub('a')]), { signal: never })).rejects.toMatchObject({
        code: 'file_corrupt',
        detail: expect.stringContaining('model.onnx'),
      })
      expect(await readdir(join(dir, 'cache'))).toEqual([`${hashOf(RIGHT)}.part`])
      expect((await readFile(join(dir, 'cache', `${hashOf(RIGHT)}.part`))).length).toBe(0)
    },
  )

  it('[F4] replaces a cached file that is corrupt', async () => {
    hub.put(path('a'), { bytes: RIGHT })
    await mkdir(join(dir, 'cache'), { recursive: true })
    await writeFile(join(dir, 'cache', hashOf(RIGHT)), WRONG)
    await fetchRight([onHub('a')])
  })

  it('[F5] evicts the least recently used file, never a held one, and refuses a file that does not fit beside held ones', async () => {
    const contents = [1, 2, 3, 4].map((seed) => seededBytes(100_000, seed))
    const names = ['one', 'two', 'three', 'four']
    const files = contents.map((bytes, i) => {
      hub.put(path(names[i] ?? ''), { bytes })
      return file([onHub(names[i] ?? '')], bytes)
    })
    const store = await open({ limitBytes: 250_000 })
    const fetch = (index: number) => store.fetch(files[index] as ModelFile, { signal: never })
    const first = await fetch(0)
    const second = await fetch(1)
    second.release()
    // The first is the oldest, but held.
    await utimes(first.path, new Date(0), new Date(0))
    const third = await fetch(2)
    expect(new Set(await readdir(join(dir, 'cache')))).toEqual(
      new Set([files[0]?.sha256, files[2]?.sha256]),
    )
    await expect(fetch(3)).rejects.toMatchObject({ code: 'no_capacity' })
    first.release()
    const fourth = await fetch(3)
    fourth.release()
    expect(await readdir(join(dir, 'cache'))).not.toContain(files[0]?.sha256)
    third.release()
  })

  it('[F5] counts files that are being fetched with their full size, so two at once do not exceed the limit', async () => {
    for (const name of ['a', 'b'])
      hub.put(path(name), { bytes: seededBytes(SIZE, name === 'a' ? 1 : 2) })
    const store = await open({ limitBytes: SIZE * 1.5 })
    const files = [1, 2].map((seed, i) => file([onHub('ab'[i] ?? '')], seededBytes(SIZE, seed)))
    const both = await Promise.allSettled(
      files.map((wanted) => store.fetch(wanted, { signal: never })),
    )
    const faults = both.filter((result) => result.status === 'rejected')
    expect(faults.map(({ reason }) => reason as unknown)).toEqual([
      expect.objectContaining({ code: 'no_capacity' }),
    ])
    expect((await readdir(join(dir, 'cache'))).length).toBe(1)
  })

  it('[F5] fetches a file once for two concurrent callers', async () => {
    hub.put(path('a'), { bytes: RIGHT })
    const store = await open()
    const wanted = file([onHub('a')])
    const both = await Promise.all([
      store.fetch(wanted, { signal: never }),
      store.fetch(wanted, { signal: never }),
    ])
    expect(both.map((held) => held.path)).toEqual([both[0].path, both[0].path])
    expect(hub.requests.length).toBe(1)
  })

  it('stops when its caller aborts, and keeps what was fetched', async () => {
    hub.put(path('a'), { bytes: RIGHT, stallAfterBytes: 50_000 })
    const controller = new AbortController()
    const fetching = (await open()).fetch(file([onHub('a')]), {
      signal: controller.signal,
      onBytes: () => controller.abort(),
    })
    await expect(fetching).rejects.toMatchObject({ code: 'cancelled' })
    expect((await readFile(join(dir, 'cache', `${hashOf(RIGHT)}.part`))).length).toBeGreaterThan(0)
  })
})
