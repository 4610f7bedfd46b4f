/** Model files on disk: from which source they come, what is resumed, what is refused, what is thrown out. Rules: docs/design/models.md. */
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

describe('a store of model files', () => {
  it('[F1] fetches in the model hub’s layout, keeps the file under its hash and asks nobody the second time', async () => {
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

  it('[F1] takes a file where it lies in the repository or in a package, and copies it nowhere', async () => {
    await mkdir(join(dir, 'root/models/m'), { recursive: true })
    await mkdir(join(dir, 'root/node_modules/@scope/pkg/onnx'), { recursive: true })
    await writeFile(join(dir, 'root/node_modules/@scope/pkg/onnx/model.onnx'), RIGHT)
    const sources = ['models/m/model.onnx', 'npm:@scope/pkg/onnx/model.onnx']
    const held = await (await open()).fetch(file(sources), { signal: never })
    expect(held.path).toBe(join(dir, 'root/node_modules/@scope/pkg/onnx/model.onnx'))
    expect(await readdir(join(dir, 'cache'))).toEqual([])
  })

  it('[F2] goes on where the connection was cut, and asks for nothing twice', async () => {
    hub.put(path('a'), { bytes: RIGHT, cutAfterBytes: 100_000, cuts: 2 })
    const store = await open()
    const held = await store.fetch(file([onHub('a')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
    expect(hub.requests.map(({ range }) => range)).toEqual([
      undefined,
      'bytes=100000-',
      'bytes=200000-',
    ])
  })

  it('[F2] goes on after a restart with what an earlier life had fetched', async () => {
    await mkdir(join(dir, 'cache'), { recursive: true })
    await writeFile(join(dir, 'cache', `${hashOf(RIGHT)}.part`), RIGHT.subarray(0, 123_456))
    hub.put(path('a'), { bytes: RIGHT })
    // Room for the file and not for its part beside it.
    const store = await open({ limitBytes: SIZE + 1_000 })
    await store.fetch(file([onHub('a')]), { signal: never })
    expect(hub.requests.map(({ range }) => range)).toEqual(['bytes=123456-'])
  })

  it('[F2] starts again where a server knows no ranges', async () => {
    hub.put(path('a'), { bytes: RIGHT, cutAfterBytes: 100_000, ignoresRanges: true })
    const held = await (await open()).fetch(file([onHub('a')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
  })

  it('[F3] leaves a source that stalls, errs or is gone for the next one, and takes its beginning along', async () => {
    hub.put(path('stalls'), { bytes: RIGHT, stallAfterBytes: 50_000 })
    hub.put(path('errs'), { bytes: RIGHT, status: 503 })
    hub.put(path('right'), { bytes: RIGHT })
    const store = await open({ stallMs: 300 })
    const sources = [onHub('stalls'), onHub('errs'), onHub('gone'), onHub('right')]
    const held = await store.fetch(file(sources), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
    expect(hub.requests.at(-1)).toEqual({ path: path('right'), range: 'bytes=50000-' })
  })

  it('[F3] asks the operator’s Worker when no source of the manifest works', async () => {
    hub.put(`/models/${hashOf(RIGHT)}`, { bytes: RIGHT })
    const held = await (
      await open({ origin: hub.url })
    ).fetch(file([onHub('gone')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
  })

  it('[F4] refuses another file, fetches it once more from the next source, and keeps nothing of the first', async () => {
    hub.put(path('wrong'), { bytes: WRONG })
    hub.put(path('right'), { bytes: RIGHT })
    const held = await (
      await open()
    ).fetch(file([onHub('wrong'), onHub('right')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
    expect(hub.requests.map(({ path: asked }) => asked)).toEqual([path('wrong'), path('right')])
  })

  it('[F4] mends a beginning that was another file’s with the source that has the right one', async () => {
    hub.put(path('wrong'), { bytes: WRONG, stallAfterBytes: 50_000 })
    hub.put(path('right'), { bytes: RIGHT })
    const held = await (
      await open({ stallMs: 200 })
    ).fetch(file([onHub('wrong'), onHub('right')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
  })

  it.each([
    ['other bytes', WRONG],
    ['more bytes', seededBytes(SIZE + 1, 7)],
  ])('[F4] says file_corrupt when every source has %s, and keeps nothing', async (_, bytes) => {
    hub.put(path('a'), { bytes })
    const store = await open()
    await expect(store.fetch(file([onHub('a')]), { signal: never })).rejects.toMatchObject({
      code: 'file_corrupt',
      detail: expect.stringContaining('model.onnx'),
    })
    expect(await readdir(join(dir, 'cache'))).toEqual([`${hashOf(RIGHT)}.part`])
    expect((await readFile(join(dir, 'cache', `${hashOf(RIGHT)}.part`))).length).toBe(0)
  })

  it('[F4] throws a cached file out that has rotted, and fetches it anew', async () => {
    hub.put(path('a'), { bytes: RIGHT })
    await mkdir(join(dir, 'cache'), { recursive: true })
    await writeFile(join(dir, 'cache', hashOf(RIGHT)), WRONG)
    const held = await (await open()).fetch(file([onHub('a')]), { signal: never })
    expect(new Uint8Array(await readFile(held.path))).toEqual(RIGHT)
  })

  it('[F5] throws out what was used longest ago, never what is held, and refuses what does not fit beside that', async () => {
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
    // The first is older, and held.
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

  it('[F5] counts the files that are on their way as whole: two at once take no more than there is', async () => {
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

  it('[F5] fetches a file once for two who want it at the same time', async () => {
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

  it('stops when its caller leaves, and keeps what had come', async () => {
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
