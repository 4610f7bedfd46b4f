/** The API page in real Chromium, from the built pages and the production Worker. */
import type { Browser, Page } from 'playwright-core'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PAGES_DIR } from '#scripts/build.ts'
import { buildDocsPage } from '#scripts/lib/docs-page.ts'
import { startTestWorker, type TestWorker } from '#test/support/worker.ts'
import { launchBrowser } from '../browser/contribute-page.ts'

let worker: TestWorker
let browser: Browser

beforeAll(async () => {
  worker = await startTestWorker('production')
  buildDocsPage(join(worker.assetsDir, 'docs'))
  copyFileSync(join(PAGES_DIR, 'openapi.json'), join(worker.assetsDir, 'openapi.json'))
  browser = await launchBrowser({ hasWebGpu: false })
})
afterAll(async () => {
  await browser?.close()
  await worker?.close()
})

interface Opened {
  readonly page: Page
  /** What the browser's console complained about, a refusal by the content policy among it. */
  readonly complaints: readonly string[]
  /** Hosts that anything was asked of. */
  readonly hosts: ReadonlySet<string>
}

async function open(options: Parameters<Browser['newPage']>[0] = {}): Promise<Opened> {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  const hosts = new Set<string>()
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  await page.goto(`${worker.workerd.url}/docs`)
  await page.locator('.opblock').first().waitFor()
  return { page, complaints, hosts }
}

describe('the API page', () => {
  it('shows every route of the description, under a policy without inline scripts, from this origin alone', async () => {
    const { page, complaints, hosts } = await open()
    const described = (await worker.call('GET', '/openapi.json')).body as {
      paths: Record<string, object>
    }
    const operations = Object.values(described.paths).flatMap((path) => Object.keys(path))
    expect(await page.locator('.opblock').count()).toBe(operations.length)
    expect(complaints).toEqual([])
    expect([...hosts]).toEqual([new URL(worker.workerd.url).host])
    const policy = (await worker.call('GET', '/docs')).headers.get('content-security-policy') ?? ''
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(policy).not.toContain('unsafe-inline')
    await page.close()
  })

  it('tries a call with a pasted key', async () => {
    const { key } = await worker.operator.createKey({ tenant: 'docs', scopes: ['infer'] })
    const { page, complaints } = await open()
    await page.locator('.btn.authorize').first().click()
    await page.locator('.modal-ux input').first().fill(key)
    await page.locator('.modal-ux .btn.authorize').first().click()
    await page.locator('.modal-ux .btn-done').first().click()
    const route = page.locator('#operations-Policies_and_receipts-getV1Policies')
    await route.locator('.opblock-summary-control').click()
    await route.locator('.try-out__btn').click()
    await route.locator('.execute').click()
    const answer = route.locator('.live-responses-table .response')
    await answer.waitFor()
    expect(await answer.locator('.response-col_status').innerText()).toContain('200')
    expect(await answer.innerText()).toContain('"default": "default"')
    expect(complaints).toEqual([])
    await page.close()
  })

  it('follows the system into the dark, and fits a phone', async () => {
    const { page } = await open({ colorScheme: 'dark', viewport: { width: 390, height: 844 } })
    const seen = await page.evaluate<unknown>(`({
      isDark: document.documentElement.classList.contains('dark-mode'),
      ground: getComputedStyle(document.documentElement).backgroundColor,
      overflow: document.documentElement.scrollWidth - innerWidth,
    })`)
    expect(seen).toEqual({ isDark: true, ground: 'rgb(13, 21, 20)', overflow: 0 })
    await page.close()
  })
})
