/** A tab's model files in real Chromium: kept, resumed, refused and evicted. Rules: docs/design/models.md. */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ModelFile } from '#shared/job/model.ts'
import { seededBytes } from '#test/support/hub/work.ts'
import { launchBrowser } from '#test/support/stack/contribute-page.ts'
import { startPageServer, type PageServer } from '#test/support/stack/contribute-server.ts'
import { buildTestPage } from './build-page.ts'
import type { FilesReply } from './pages/files/messages.ts'
import { MIB } from '#shared/base/limits.ts'

const SIZE = 400_000

let dir: string
let server: PageServer
let browser: Browser
let page: Page
/** Path and range of each request for a file. */
let asked: string[] = []

beforeAll(async () => {
  dir = await buildTestPage('test/browser/pages/files')
  server = await startPageServer(dir)
  browser = await launchBrowser({ hasWebGpu: false })
})
afterAll(async () => {
  await browser.close()
  await server.close()
  rmSync(dir, { recursive: true })
})
beforeEach(async () => {
  asked = []
  server.routes.clear()
  page = await (await browser.newContext()).newPage()
  await page.goto(`${server.url}/index.html`)
})
afterEach(() => page.context().close())

function fileOf(bytes: Uint8Array): ModelFile {
  const sha256 = `0x${createHash('sha256').update(bytes).digest('hex')}` as ModelFile['sha256']
  return { name: 'model.onnx', sha256, sizeBytes: bytes.length, sources: ['models/m/model.onnx'] }
}

/** Serves bytes under the file's hash, with ranges; the first `cuts` answers end early. */
function serve(
  bytes: Uint8Array,
  { file = fileOf(bytes), cuts = 0, cutAfterBytes = 150_000 } = {},
) {
  let cutsLeft = cuts
  server.routes.set(`GET /models/${file.sha256}`, (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    asked.push(`${request.headers.range ?? 'all'}`)
    const body = bytes.subarray(start)
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': body.length,
      ...(start > 0 ? range : {}),
    })
    if (cutsLeft > 0) {
      cutsLeft -= 1
      response.write(body.subarray(0, cutAfterBytes), () =>
        setTimeout(() => response.destroy(), 100),
      )
    } else response.end(body)
  })
  return file
}

async function load(file: ModelFile, limitBytes = 8 * MIB): Promise<FilesReply> {
  const reply = await page.evaluate((ask) => globalThis.loadFile?.(ask), { file, limitBytes })
  if (reply === undefined) throw new Error('the page has no loader')
  return reply
}

describe('a tab’s model files', () => {
  test('[F1] a file is fetched once, and read from the browser’s private files after a reload', async () => {
    const file = serve(seededBytes(SIZE, 1))
    expect(await load(file)).toEqual({ outcome: file.sha256, kept: [[file.sha256, SIZE]] })
    await page.reload()
    expect((await load(file)).outcome).toBe(file.sha256)
    expect(asked).toEqual(['all'])
  })

  test('[F2] a download that is cut resumes with a range, also from what an earlier visit had fetched', async () => {
    const file = serve(seededBytes(SIZE, 2), { cuts: 1 })
    expect((await load(file)).outcome).toBe(file.sha256)
    expect(asked[0]).toBe('all')
    expect(asked.at(-1)).toMatch(/^bytes=[1-9]\d*-$/)

    const other = seededBytes(SIZE, 3)
    // Every answer ends early until no source is left.
    const gone = serve(other, { cuts: 9, cutAfterBytes: 40_000 })
    const cut = await load(gone)
    expect(cut.outcome).toBe('no_capacity')
    const [, partBytes = 0] = cut.kept.find(([name]) => name === gone.sha256) ?? []
    expect(partBytes).toBeGreaterThan(0)
    expect(partBytes).toBeLessThan(SIZE)
    await page.reload()
    asked = []
    serve(other)
    expect((await load(gone)).outcome).toBe(gone.sha256)
    expect(asked).toEqual([`bytes=${partBytes}-`])
  })

  test('[F4] a wrong file is refused and not kept, and a kept file that is corrupt is fetched again', async () => {
    const bytes = seededBytes(SIZE, 4)
    const file = serve(seededBytes(SIZE, 5), { file: fileOf(bytes) })
    expect(await load(file)).toEqual({ outcome: 'file_corrupt', kept: [[file.sha256, 0]] })
    serve(bytes)
    expect((await load(file)).outcome).toBe(file.sha256)
    await page.evaluate(rot(file.sha256))
    asked = []
    expect((await load(file)).outcome).toBe(file.sha256)
    expect(asked).toEqual(['all'])
  })

  test('[F5] the least recently used file is evicted first, and a file larger than the limit is loaded but not kept', async () => {
    const files = [6, 7, 8].map((seed) => serve(seededBytes(SIZE, seed)))
    const limitBytes = 2 * SIZE
    const [first, second, third] = files as [ModelFile, ModelFile, ModelFile]
    await load(first, limitBytes)
    await load(second, limitBytes)
    await load(first, limitBytes)
    const { kept } = await load(third, limitBytes)
    expect(new Set(kept.map(([name]) => name))).toEqual(new Set([first.sha256, third.sha256]))
    const large = serve(seededBytes(3 * SIZE, 9))
    expect(await load(large, limitBytes)).toEqual({ outcome: large.sha256, kept })
  })
})

/** Inverts one bit of a kept file; evaluated in the page. */
const rot = (name: string) => `(async () => {
  const root = await navigator.storage.getDirectory()
  const folder = await root.getDirectoryHandle('littoral-models')
  const file = await folder.getFileHandle('${name}')
  const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer())
  bytes[1000] ^= 1
  const writer = await file.createWritable()
  await writer.write(bytes)
  await writer.close()
})()`
