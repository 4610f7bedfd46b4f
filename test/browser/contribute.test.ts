/** The volunteer's page in real Chromium, built as it is served, under a Content-Security-Policy as strict as the Worker's. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PAGES_DIR } from '#scripts/build/build.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { expectUsable } from '#test/support/stack/axe.ts'
import {
  inPhase,
  launchBrowser,
  pressStart,
  START_MS,
  textOf,
} from '#test/support/stack/contribute-page.ts'
import { startPageServer, type PageServer } from '#test/support/stack/contribute-server.ts'

let server: PageServer
let browser: Browser
let context: BrowserContext
/** Uncaught errors. */
let complaints: string[] = []

beforeAll(async () => {
  server = await startPageServer(PAGES_DIR)
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser.close()
  await server.close()
})

beforeEach(async () => {
  complaints = []
  answerAll()
  context = await browser.newContext()
})

afterEach(async () => {
  await context.close()
  expect(complaints).toEqual([])
  expect(server.violations.splice(0)).toEqual([])
})

/** The only model in these tests. It runs on wasm; checking one on a software adapter takes ten seconds per start. */
const QUICK_MODEL = 'silero-vad'
const QUICK = MANIFESTS.filter(({ id }) => id === QUICK_MODEL).flatMap(({ files }) => files)

/** A network that answers, refuses all nodes, and has one model. */
function answerAll(): void {
  server.requests.length = 0
  server.routes.clear()
  for (const { sha256 } of MANIFESTS.flatMap(({ files }) => files))
    if (!QUICK.some((file) => file.sha256 === sha256)) refuseModel(sha256)
  answer('GET /v1/network', 200, { hubs: [], nodes: [], you: { country: 'AT', source: 'edge' } })
  answer('GET /v1/earnings', 200, { pendingMicroUsd: '0', settledMicroUsd: '0' })
  answer('POST /v1/nodes/admission', 429, {
    code: 'rate_limited',
    detail: 'Thirty nodes came from this address in one minute.',
  })
}

function refuseModel(sha256: string): void {
  server.routes.set(`GET /models/${sha256}`, (_request, response) => {
    response.writeHead(500).end()
  })
}

function answer(route: string, status: number, body: unknown): void {
  server.routes.set(route, (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
}

async function open(path = '/contribute', from: BrowserContext = context): Promise<Page> {
  const page = await from.newPage()
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(server.url + path)
  return page
}

/** @returns the node id that the page shows */
async function startUntilWaiting(page: Page): Promise<string> {
  await pressStart(page)
  await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
  return await textOf(page, 'node-id')
}

describe('the page before the first start', () => {
  test('[C1] is ready with the country that the network observes, and marks the adapter as software', async () => {
    const page = await open()
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    expect(await textOf(page, 'state')).toBe('Ready to start')
    expect(await page.getByTestId('country').inputValue()).toBe('AT')
    expect(await textOf(page, 'adapter')).toBe('google swiftshader (software)')
  })

  test('[C1] asks for a country when it has none, and cannot be started before', async () => {
    answer('GET /v1/network', 503, { code: 'no_capacity', detail: 'No hub answers.' })
    const page = await open()
    await page.getByText('Choose the country this device is in').waitFor()
    expect(await page.getByTestId('toggle').isDisabled()).toBe(true)
    await page.getByTestId('country').selectOption('PT')
    expect(await page.getByTestId('toggle').isEnabled()).toBe(true)
  })

  test('[C1] states the size of the first download: the models and the largest runtime', async () => {
    const page = await open()
    const named = /download of about (\d+) MB/.exec(await page.locator('#what').innerText())?.[1]
    const assets = join(PAGES_DIR, 'contribute/assets')
    const runtimes = readdirSync(assets).filter((name) => name.endsWith('.wasm'))
    const largest = Math.max(...runtimes.map((name) => statSync(join(assets, name)).size))
    const files = new Map(
      MANIFESTS.flatMap(({ files: all }) => all.map((file) => [file.sha256, file])),
    )
    const megabytes = [...files.values()].reduce((sum, file) => sum + file.sizeBytes, largest) / 1e6
    expect(Math.abs(megabytes - Number(named))).toBeLessThan(5)
  })

  test('[C2] says what a browser without WebGPU can still do', async () => {
    const plain = await launchBrowser({ hasWebGpu: false })
    try {
      const page = await open('/contribute', await plain.newContext())
      await page.getByText('No WebGPU here').waitFor()
      await expect.poll(() => textOf(page, 'state-detail')).toContain('small models on the CPU')
      await expect.poll(() => textOf(page, 'adapter')).toBe('none: no WebGPU')
      await expect.poll(() => page.getByTestId('toggle').isEnabled()).toBe(true)
    } finally {
      await plain.close()
    }
  })

  test('[C3] axe finds no violation and nothing overflows on any screen', async () => {
    const page = await open()
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    await expectUsable(page)
  })
})

describe('a refused node', () => {
  let page: Page

  beforeAll(async () => {
    answerAll()
    page = await open('/contribute', await browser.newContext())
    await pressStart(page)
  })

  afterAll(() => page.context().close())

  test('[C4] shows the refusal while it tries again', async () => {
    await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
    expect(await textOf(page, 'state')).toBe('Waiting to reconnect')
    expect(await textOf(page, 'state-detail')).toContain('Thirty nodes came from this address')
    expect(await page.getByTestId('toggle').innerText()).toBe('Pause')
  })

  test('[C3] axe finds no violation and nothing overflows on any screen', async () => {
    await expectUsable(page)
  })

  test('[C4] says that the operator cannot be reached', async () => {
    server.routes.set('POST /v1/nodes/admission', (request) => request.socket.destroy())
    await page.getByText('The network could not be reached.').waitFor()
  })

  test('[C5] stops its attempts on pause and continues them on Resume', async () => {
    await page.getByTestId('toggle').click()
    await inPhase(page, 'paused').waitFor()
    expect(await page.getByTestId('toggle').innerText()).toBe('Resume')
    const asked = admissions().length
    await pressStart(page)
    await expect.poll(() => admissions().length).toBeGreaterThan(asked)
  })
})

describe('the owner’s key', () => {
  test('[C7] is saved to a file, and restored in a browser that has another key', async () => {
    const page = await open()
    const nodeId = await startUntilWaiting(page)
    const saving = page.waitForEvent('download')
    await page.getByTestId('save-key').click()
    const path = await (await saving).path()
    const other = await open('/contribute', await browser.newContext())
    const otherId = await startUntilWaiting(other)
    expect(otherId).not.toBe(nodeId)
    expect(await other.getByTestId('bring-key').isDisabled()).toBe(true)
    await other.getByTestId('toggle').click()
    await inPhase(other, 'paused').waitFor()
    await other.getByTestId('bring-key').setInputFiles(path)
    await other.getByText('This browser already has a key').waitFor()
    await other.getByTestId('bring-key').setInputFiles(path)
    await other.getByText('The key is restored').waitFor()
    expect(await startUntilWaiting(other)).toBe(nodeId)
    await other.context().close()
  })

  test('[C7] is not changed by a file that is no key file', async () => {
    const page = await open()
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    const buffer = Buffer.from('{"kind":"littoral-node-key","version":1}')
    await page
      .getByTestId('bring-key')
      .setInputFiles({ name: 'key.json', mimeType: 'application/json', buffer })
    await page.getByText('This is not a key file of a Littoral node').waitFor()
  })

  test('[C14] survives cleared storage: the node stops and says why, and Try again stores the same key', async () => {
    const page = await open()
    const nodeId = await startUntilWaiting(page)
    expect(await textOf(page, 'kept')).toContain('the key and the models')
    const cdp = await page.context().newCDPSession(page)
    const origin = new URL(page.url()).origin
    await cdp.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
    await inPhase(page, 'failed').waitFor()
    expect(await textOf(page, 'state-detail')).toContain('was cleared while the node was working')
    const asked = admissions().length
    await pressStart(page)
    await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
    expect(await textOf(page, 'node-id')).toBe(nodeId)
    const since = admissions().slice(asked)
    expect(since.every((line) => line.includes(nodeId))).toBe(true)
    await page.reload()
    expect(await startUntilWaiting(page)).toBe(nodeId)
  })
})

describe('starting', () => {
  test('[C5] can be cancelled during the download', async () => {
    const held = Promise.withResolvers<void>()
    const [file] = MANIFESTS.flatMap((manifest) => manifest.files)
    server.routes.set(`GET /models/${file?.sha256 ?? ''}`, () => held.resolve())
    const page = await open()
    await pressStart(page)
    await held.promise
    expect(await textOf(page, 'state')).toBe('Starting')
    expect(await textOf(page, 'download-text')).toMatch(/^[0-9.]+ of [0-9.]+ MB$/)
    await page.getByTestId('toggle').click()
    await inPhase(page, 'idle').waitFor()
    expect(admissions()).toEqual([])
  })

  test('[C13] happens again when the worker hangs, and the page says so', async () => {
    const page = await open()
    const nodeId = await startUntilWaiting(page)
    const hung = page.workers().find((worker) => worker.url().includes('node.worker'))
    void hung?.evaluate('for (;;) {}').catch(() => {})
    await inPhase(page, 'starting').waitFor({ timeout: START_MS })
    await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
    expect(await textOf(page, 'node-id')).toBe(nodeId)
  })

  test('[C6] leaves out a model whose file does not match its manifest, and says so', async () => {
    const [file] = QUICK
    server.routes.set(`GET /models/${file?.sha256 ?? ''}`, (_request, response) => {
      response.writeHead(200).end(Buffer.alloc(file?.sizeBytes ?? 0))
    })
    const page = await open()
    await startUntilWaiting(page)
    expect(await textOf(page, 'left-out')).toContain('is not the file that its manifest names')
    expect(await textOf(page, 'abilities')).not.toContain(QUICK_MODEL)
  })

  test('[C7] [C10] keeps identity, country, models and earnings over a reload', async () => {
    const page = await open()
    await page.getByTestId('country').selectOption('CH')
    const nodeId = await startUntilWaiting(page)
    expect(nodeId).toMatch(/^12D3Koo/)
    const earningsOf: string[] = []
    server.routes.set('GET /v1/earnings', (request, response) => {
      earningsOf.push(request.url ?? '')
      response.end(JSON.stringify({ pendingMicroUsd: '1840', settledMicroUsd: '2000000' }))
    })
    const fetched = server.requests.length
    await page.reload()
    await page.getByText('$0.001840').waitFor()
    expect(await textOf(page, 'settled')).toBe('$2.000000')
    expect(earningsOf[0]).toMatch(/^\/v1\/earnings\?x=0x[0-9a-f]{64}&y=0x[0-9a-f]{64}$/)
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    expect(await page.getByTestId('country').inputValue()).toBe('CH')
    for (const { sha256 } of QUICK) refuseModel(sha256)
    expect(await startUntilWaiting(page)).toBe(nodeId)
    const again = server.requests.slice(fetched).join()
    for (const { sha256 } of QUICK) expect(again).not.toContain(sha256)
    const claims = admissions().map((line) => JSON.parse(line) as unknown)
    expect(new Set(claims.map((claim) => JSON.stringify(claim)))).toEqual(
      new Set([JSON.stringify({ claim: 'CH', nodeId })]),
    )
  })

  test('[C8] waits in a second tab of the same browser until the first one closes', async () => {
    const first = await open()
    await first.locator('[data-testid=toggle]:enabled').waitFor()
    const second = await open()
    await inPhase(second, 'elsewhere').waitFor()
    expect(await second.getByTestId('toggle').isDisabled()).toBe(true)
    await first.close()
    await second.locator('[data-testid=toggle]:enabled').waitFor()
    expect(await textOf(second, 'state')).toBe('Ready to start')
  })

  test('[C9] uses a simulated place in the address as the claim, and sends it with the admission', async () => {
    const places: unknown[] = []
    server.routes.set('POST /v1/nodes/admission', (request, response) => {
      places.push(request.headers['x-littoral-simulated-place'])
      response.writeHead(503).end()
    })
    const page = await open('/contribute?place=FR')
    await startUntilWaiting(page)
    expect(await page.getByTestId('country').inputValue()).toBe('FR')
    expect(places[0]).toBe('FR')
  })
})

/** Bodies of the requests for admission. */
function admissions(): string[] {
  const start = 'POST /v1/nodes/admission '
  return server.requests.flatMap((line) =>
    line.startsWith(start) ? [line.slice(start.length)] : [],
  )
}
