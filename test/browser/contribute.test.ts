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
/** Errors that nobody caught. */
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

/** The one model that every test gets: wasm runs it. Checking one on a software adapter takes ten seconds a start. */
const QUICK_MODEL = 'silero-vad'
const QUICK = MANIFESTS.filter(({ id }) => id === QUICK_MODEL).flatMap(({ files }) => files)

/** A network that is there, admits nobody, and has one model. */
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

/** @returns the id that the page shows once the node was made */
async function startUntilWaiting(page: Page): Promise<string> {
  await pressStart(page)
  await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
  return await textOf(page, 'node-id')
}

describe('what the page says', () => {
  test('[C1] it is ready with the country that the network sees, and names the adapter as software', async () => {
    const page = await open()
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    expect(await textOf(page, 'state')).toBe('Ready to start')
    expect(await page.getByTestId('country').inputValue()).toBe('AT')
    expect(await textOf(page, 'adapter')).toBe('google swiftshader (software)')
  })

  test('[C1] without a country from anywhere it asks for one and cannot be started before', async () => {
    answer('GET /v1/network', 503, { code: 'no_capacity', detail: 'No hub answers.' })
    const page = await open()
    await page.getByText('Say which country this device is in').waitFor()
    expect(await page.getByTestId('toggle').isDisabled()).toBe(true)
    await page.getByTestId('country').selectOption('PT')
    expect(await page.getByTestId('toggle').isEnabled()).toBe(true)
  })

  test('[C1] the size of the first download that it names is that of the models and the largest runtime', async () => {
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

  test('[C2] a browser without WebGPU is told what it can still do', async () => {
    const plain = await launchBrowser({ hasWebGpu: false })
    try {
      const page = await open('/contribute', await plain.newContext())
      await page.getByText('No WebGPU here').waitFor()
      expect(await textOf(page, 'state-detail')).toContain('small models on the processor')
      expect(await textOf(page, 'adapter')).toBe('none: no WebGPU')
      expect(await page.getByTestId('toggle').isEnabled()).toBe(true)
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

describe('a node that is refused', () => {
  let page: Page

  beforeAll(async () => {
    answerAll()
    page = await open('/contribute', await browser.newContext())
    await pressStart(page)
  })

  afterAll(() => page.context().close())

  test('[C4] it shows the refusal in its own words while it tries again', async () => {
    await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
    expect(await textOf(page, 'state')).toBe('Waiting to reconnect')
    expect(await textOf(page, 'state-detail')).toContain('Thirty nodes came from this address')
    expect(await page.getByTestId('toggle').innerText()).toBe('Pause')
  })

  test('[C3] axe finds no violation and nothing overflows on any screen', async () => {
    await expectUsable(page)
  })

  test('[C4] an operator that cannot be reached is said to be so', async () => {
    server.routes.set('POST /v1/nodes/admission', (request) => request.socket.destroy())
    await page.getByText('The network could not be reached.').waitFor()
  })

  test('[C5] pause ends the attempts at once and Resume takes them up again', async () => {
    await page.getByTestId('toggle').click()
    await inPhase(page, 'paused').waitFor()
    expect(await page.getByTestId('toggle').innerText()).toBe('Resume')
    const asked = admissions().length
    await pressStart(page)
    await expect.poll(() => admissions().length).toBeGreaterThan(asked)
  })
})

describe('what belongs to the owner', () => {
  test('[C7] the key is saved to a file, and brought back into a browser that has another one', async () => {
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
    await other.getByText('This browser has a key already').waitFor()
    await other.getByTestId('bring-key').setInputFiles(path)
    await other.getByText('The key is back').waitFor()
    expect(await startUntilWaiting(other)).toBe(nodeId)
    await other.context().close()
  })

  test('[C7] a file that is no key changes nothing and is said to be none', async () => {
    const page = await open()
    await page.locator('[data-testid=toggle]:enabled').waitFor()
    const buffer = Buffer.from('{"kind":"littoral-node-key","version":1}')
    await page
      .getByTestId('bring-key')
      .setInputFiles({ name: 'key.json', mimeType: 'application/json', buffer })
    await page.getByText('This is no file with the keys of a Littoral node').waitFor()
  })

  test('[C14] storage that is cleared while it works stops the node, says why, and Try again keeps the same key', async () => {
    const page = await open()
    const nodeId = await startUntilWaiting(page)
    expect(await textOf(page, 'kept')).toContain('the key and the models')
    const cdp = await page.context().newCDPSession(page)
    const origin = new URL(page.url()).origin
    await cdp.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
    await inPhase(page, 'failed').waitFor()
    expect(await textOf(page, 'state-detail')).toContain('was cleared while the node was at work')
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
  test('[C5] a start can be cancelled while the models come', async () => {
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

  test('[C13] a worker that hangs is ended and started again, and the page says so meanwhile', async () => {
    const page = await open()
    const nodeId = await startUntilWaiting(page)
    const hung = page.workers().find((worker) => worker.url().includes('node.worker'))
    void hung?.evaluate('for (;;) {}').catch(() => {})
    await inPhase(page, 'starting').waitFor({ timeout: START_MS })
    await inPhase(page, 'waiting').waitFor({ timeout: START_MS })
    expect(await textOf(page, 'node-id')).toBe(nodeId)
  })

  test('[C6] a model whose file is not the one that its manifest names is left out, and is said to be', async () => {
    const [file] = QUICK
    server.routes.set(`GET /models/${file?.sha256 ?? ''}`, (_request, response) => {
      response.writeHead(200).end(Buffer.alloc(file?.sizeBytes ?? 0))
    })
    const page = await open()
    await startUntilWaiting(page)
    expect(await textOf(page, 'left-out')).toContain('is not the file that its manifest names')
    expect(await textOf(page, 'abilities')).not.toContain(QUICK_MODEL)
  })

  test('[C7] [C10] identity, country, models and what the key has earned survive a reload', async () => {
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

  test('[C8] a second tab of the same browser waits, and takes over when the first one closes', async () => {
    const first = await open()
    await first.locator('[data-testid=toggle]:enabled').waitFor()
    const second = await open()
    await inPhase(second, 'elsewhere').waitFor()
    expect(await second.getByTestId('toggle').isDisabled()).toBe(true)
    await first.close()
    await second.locator('[data-testid=toggle]:enabled').waitFor()
    expect(await textOf(second, 'state')).toBe('Ready to start')
  })

  test('[C9] a made-up place in the address becomes the claim and travels with the admission', async () => {
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

/** Bodies of the admissions that were asked for. */
function admissions(): string[] {
  const start = 'POST /v1/nodes/admission '
  return server.requests.flatMap((line) =>
    line.startsWith(start) ? [line.slice(start.length)] : [],
  )
}
