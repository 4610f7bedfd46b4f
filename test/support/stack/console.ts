/** The compliance console in Chromium, with the steps that its tests share. */
import type { Browser, Locator, Page } from 'playwright-core'
import { WORKER_DIR } from '#scripts/build/build.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import { afterEach, expect } from 'vitest'
import { openOnce } from '#test/support/open-once.ts'
import { launchBrowser } from './contribute-page.ts'
import { createTestStack, type TestStack } from './stack.ts'

/** A production Worker without an edge sees no country, so nodes have declared places only. */
const POLICY = {
  id: 'harbour',
  compute: { allow: ['EU', 'CH'] },
  dataClass: 'public',
  minEvidence: 'declared',
}

interface ConsoleStack {
  readonly stack: TestStack
  readonly tenant: Tenant
  readonly browser: Browser
  /** Signs in. */
  open(key: string): Promise<Page>
  /** Goes to a view and waits until it has loaded. */
  show(page: Page, hash: string): Promise<Locator>
  /** Errors and warnings of the browser's console since the last call, such as violations of the content policy. */
  complaints(): string[]
  /** Removes complaints with this text, such as the browser's line about an error reply that the page shows anyway. */
  forgive(text: string): void
  close(): Promise<void>
}

/** The production Worker, a node in Germany and one in the US, and a tenant with all scopes that pins its jobs to Europe. */
async function startConsoleStack(): Promise<ConsoleStack> {
  const stack = await createTestStack({ batchSeconds: 1, bundleDir: WORKER_DIR })
  const tenant = await stack.createTenant('acme', ['infer', 'policy', 'audit', 'admin'])
  await stack.pin(tenant, POLICY)
  await stack.startNode({ name: 'de', region: 'DE', device: 'cpu', verified: true })
  await stack.startNode({ name: 'us', region: 'US', device: 'cpu', verified: false })
  const browser = await launchBrowser({ hasWebGpu: false })
  let heard: string[] = []
  return {
    stack,
    tenant,
    browser,
    async open(key) {
      const page = await browser.newPage()
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) heard.push(message.text())
      })
      page.on('pageerror', (error) => heard.push(error.message))
      await page.goto(`${stack.url}/compliance`)
      await page.getByLabel('Tenant key').fill(key)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByRole('navigation', { name: 'Views' }).waitFor()
      await idle(page)
      return page
    },
    async show(page, hash) {
      await page.goto(`${stack.url}/compliance#/${hash}`)
      await page.locator(`#view[data-address="#/${hash}"]`).waitFor()
      await idle(page)
      return page.getByTestId('view')
    },
    complaints: () => heard.splice(0),
    forgive(text) {
      heard = heard.filter((line) => !line.includes(text))
    },
    async close() {
      await browser.close()
      await stack.close()
    },
  }
}

/** Runs it for all tests of a file; each fails if the browser complained. */
export function useConsoleStack(): ConsoleStack {
  const on = openOnce(startConsoleStack, (opened) => opened.close())
  afterEach(() => {
    expect(on.complaints()).toEqual([])
  })
  return on
}

/** Waits until the view and its parts have loaded. */
export async function idle(page: Page): Promise<void> {
  await page.locator('#view .body').waitFor()
  await page.locator('[aria-busy]').first().waitFor({ state: 'detached' })
}
