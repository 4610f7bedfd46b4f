/** The volunteer's page as a node of the real system: built Worker in workerd, hub, chain, and a Chromium tab. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { vibrationWindow } from '../../examples/vibration.ts'
import { createTestStack, openPolicy, type TestStack } from '#test/support/stack/stack.ts'
import {
  inPhase,
  launchBrowser,
  pressStart,
  START_MS,
  textOf,
} from '#test/support/stack/contribute-page.ts'

/** A tab that only fell silent would stay on the network for as long as this. */
const SILENT_MS = LIMITS.heartbeatTimeoutMs - 1_000
const EMBEDDING = { model: 'littoral-embed-400k', input: ['turn on the kitchen light'] }

let stack: TestStack
let tenant: Tenant
let browser: Browser

beforeAll(async () => {
  stack = await createTestStack()
  tenant = await stack.createTenant('acme', ['infer', 'policy'])
  await stack.pin(tenant, openPolicy('EU'))
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

async function openPage(query: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(`${stack.url}/contribute${query}`)
  return page
}

async function nodesOf(country: string): Promise<string[]> {
  const { body } = await stack.get(tenant, '/v1/network')
  const nodes = body.nodes as { nodeId: string; country: string }[]
  return nodes.filter((node) => node.country === country).map(({ nodeId }) => nodeId)
}

describe('a tab that is online', () => {
  let page: Page

  beforeAll(async () => {
    page = await openPage('?place=DE')
    await pressStart(page)
    await inPhase(page, 'online').waitFor({ timeout: START_MS })
  })

  test('[C11] it names its hub, its place and that the place is simulated', async () => {
    expect(await textOf(page, 'state')).toBe('Online')
    expect(await textOf(page, 'hub')).toBe('hub-0')
    expect(await textOf(page, 'place')).toBe('Germany, simulated for development')
    expect(await nodesOf('DE')).toEqual([await textOf(page, 'node-id')])
  })

  test('[C11] it answers a model and a listed kernel, and lists both with what they earned', async () => {
    const nodeId = await textOf(page, 'node-id')
    const embedding = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
    expect(embedding.headers.get('x-littoral-node')).toBe(nodeId)
    const kernel = await stack.post(
      tenant,
      '/v1/compute',
      SPECTRUM_KERNEL.request(vibrationWindow().samples),
    )
    expect(kernel.headers.get('x-littoral-node')).toBe(nodeId)
    await expect.poll(() => textOf(page, 'jobs-done')).toBe('2')
    expect(await textOf(page, 'jobs')).toMatch(/^GPU kernel\s.*\$0\.\d{6}\s+littoral-embed-400k\s/s)
    expect(await textOf(page, 'signed')).not.toBe('$0.000000')
    expect(await page.getByTestId('chart').getAttribute('aria-label')).toMatch(/^2 jobs/)
  })

  test('[C10] what it signed is settled on the chain, and the page says so', async () => {
    await expect
      .poll(() => textOf(page, 'settled'), { interval: 500 })
      .toBe(await textOf(page, 'signed'))
    expect(await textOf(page, 'pending')).toBe('$0.000000')
  })

  test('[C5] pause takes it off the network at once, and Resume brings the same node back', async () => {
    const nodeId = await textOf(page, 'node-id')
    await page.getByTestId('toggle').click()
    await expect.poll(() => nodesOf('DE'), { timeout: SILENT_MS }).toEqual([])
    await pressStart(page)
    await inPhase(page, 'online').waitFor()
    expect(await nodesOf('DE')).toEqual([nodeId])
    expect(await textOf(page, 'jobs-done')).toBe('2')
  })

  test('[C5] closing the tab takes it off the network', async () => {
    await page.close()
    await expect.poll(() => nodesOf('DE'), { timeout: SILENT_MS }).toEqual([])
  })
})

test('[C4] a claim that the connection contradicts is shown as the reason why no work comes', async () => {
  const page = await openPage('?place=DE')
  await page.locator('[data-testid=toggle]:enabled').waitFor()
  await page.getByTestId('country').selectOption('FR')
  await pressStart(page)
  await inPhase(page, 'quarantined').waitFor({ timeout: START_MS })
  expect(await textOf(page, 'state')).toBe('Connected, but no work is sent')
  expect(await textOf(page, 'place')).toContain('France')
  expect(await textOf(page, 'state-detail')).toMatch(/claim/i)
  expect(await textOf(page, 'place')).toBe('Germany, not France as chosen here')
  const remedy = 'If this device is in Germany, press Pause, choose Germany and press Resume.'
  expect(await textOf(page, 'state-detail')).toContain(remedy)
  await page.getByTestId('toggle').click()
  await inPhase(page, 'paused').waitFor()
  await page.getByTestId('country').selectOption('DE')
  await pressStart(page)
  await inPhase(page, 'online').waitFor({ timeout: START_MS })
})
