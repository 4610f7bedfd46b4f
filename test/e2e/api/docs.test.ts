/** The API page in real Chromium, from the built pages and the production Worker. */
import type { Browser, Page } from 'playwright-core'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PAGES_DIR } from '#scripts/build/build.ts'
import { buildDocsPage } from '#scripts/build/docs-page.ts'
import { expectUsable } from '#test/support/stack/axe.ts'
import { useWorker } from '#test/support/stack/worker.ts'
import { launchBrowser } from '#test/support/stack/contribute-page.ts'

const worker = useWorker('production')
let browser: Browser

beforeAll(async () => {
  buildDocsPage(join(worker.assetsDir, 'docs'))
  copyFileSync(join(PAGES_DIR, 'openapi.json'), join(worker.assetsDir, 'openapi.json'))
  browser = await launchBrowser({ hasWebGpu: false })
})
afterAll(() => browser?.close())

interface Opened {
  readonly page: Page
  /** Complaints in the browser's console, including content policy violations. */
  readonly complaints: readonly string[]
  /** Hosts that received a request. */
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
  await page.locator('.route').first().waitFor()
  return { page, complaints, hosts }
}

describe('the API page', () => {
  it('shows every route of the description, under a policy without inline scripts, from this origin alone', async () => {
    const { page, complaints, hosts } = await open()
    const described = (await worker.call('GET', '/openapi.json')).body as {
      paths: Record<string, object>
    }
    const operations = Object.values(described.paths).flatMap((path) => Object.keys(path))
    expect(await page.locator('section:not(:has(#schemas)) > .route').count()).toBe(
      operations.length,
    )
    expect(complaints).toEqual([])
    expect([...hosts]).toEqual([new URL(worker.workerd.url).host])
    const icon = await worker.call('GET', '/favicon.ico')
    expect([icon.status, icon.headers.get('content-type')]).toEqual([200, 'image/svg+xml'])
    const policy = (await worker.call('GET', '/docs')).headers.get('content-security-policy') ?? ''
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(policy).not.toContain('unsafe-inline')
    await page.close()
  })

  it('tries a call with a pasted key', async () => {
    const { key } = await worker.operator.createKey({ tenant: 'docs', scopes: ['infer'] })
    const { page, complaints } = await open()
    await page.getByLabel('API key').fill(key)
    const route = page.locator('#getV1Policies')
    await route.getByText('Try GET').click()
    await route.getByRole('button', { name: 'Send' }).click()
    const answer = route.locator('output')
    await answer.getByText('200 OK').waitFor()
    expect(await answer.innerText()).toContain('"default": "personal-eea"')
    expect(complaints).toEqual([])
    await page.close()
  })

  it('can be read and used on a phone and a desktop, light and dark: axe finds no violation', async () => {
    const { page } = await open()
    // The largest part only; opening every part would take axe minutes.
    await page.evaluate(
      "document.querySelectorAll('#postV1ChatCompletions details').forEach((part) => (part.open = true))",
    )
    await expectUsable(page)
    await page.evaluate(
      "document.querySelectorAll('details').forEach((part) => (part.open = true))",
    )
    await page.setViewportSize({ width: 390, height: 844 })
    const narrowest = await page.evaluate<number>(
      "Math.min(...[...document.querySelectorAll('.route p, .member p')].map((text) => text.clientWidth))",
    )
    expect(narrowest).toBeGreaterThan(160)
    await page.close()
  })

  it('sends what stands in its form: path, query, header and body', async () => {
    const { key } = await worker.operator.createKey({ tenant: 'docs', scopes: ['infer', 'policy'] })
    const { page } = await open()
    await page.getByLabel('API key').fill(key)
    const route = page.locator('#putV1PoliciesById')
    await route.getByText('Try PUT').click()
    await route.getByLabel('id', { exact: true }).fill('tried')
    await route.getByRole('button', { name: 'Send' }).click()
    await route.getByText('"id": "tried"').waitFor()
    await page.close()
  })
})
