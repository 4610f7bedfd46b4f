/** A Chromium tab as a node of the real system, beside a local node: built Worker in workerd, hub, chain. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import {
  inPhase,
  killGpuProcess,
  launchBrowser,
  pressStart,
  START_MS,
  textOf,
} from '#test/support/stack/contribute-page.ts'
import { useStack } from '#test/support/stack/stack.ts'
import { computeRequest } from '#test/support/compute-request.ts'
import { until } from '#test/support/poll.ts'
import { HEARTBEAT_TIMEOUT_MS } from '#p2p/work/heartbeat.ts'
import { openOnce } from '#test/support/open-once.ts'

/** A tab that is only silent would stay on the network for this long. */
const SILENT_MS = HEARTBEAT_TIMEOUT_MS - 1_000
const MODEL = 'littoral-embed-400k'
const SHORT = { model: MODEL, input: 'is it private?' }
const SPECTRUM = SPECTRUM_KERNEL.request(vibrationWindow().samples)
const IN_TAB = { 'x-littoral-residency': 'DE' }
const IN_LOCAL = { 'x-littoral-residency': 'FR' }
/** A kernel that never ends. */
const ENDLESS = computeRequest(
  '@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n@compute @workgroup_size(1) fn main() { loop { a[0] += 1u; if (a[0] == 0u) { break; } a[0] = 1u; } }',
)

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })
let browser: Browser
let page: Page
let tab: string
beforeAll(async () => {
  browser = await launchBrowser()
  page = await browser.newPage()
  await page.goto(`${stack.url}/contribute?place=DE`)
  await pressStart(page)
  await inPhase(page, 'online').waitFor({ timeout: START_MS })
  tab = await textOf(page, 'node-id')
})
afterAll(() => browser?.close())
const local = openOnce(() => stack.startNode({ name: 'fr', region: 'FR', verified: false }))

interface Shown {
  readonly nodeId: string
  readonly country: string
  readonly inFlight: number
  readonly models: readonly unknown[]
}

/** A node as its hub knows it; undefined when it is not on the network. */
async function shown(nodeId: string): Promise<Shown | undefined> {
  const { body } = await stack.get(tenant, '/v1/network/nodes')
  return (body.nodes as Shown[]).find((node) => node.nodeId === nodeId)
}

describe('a Chromium tab beside a local node', () => {
  it('[C11] names its hub, its place and that the place is simulated', async () => {
    expect(await textOf(page, 'state')).toBe('Online')
    expect(await textOf(page, 'hub')).toBe('hub-0')
    expect(await textOf(page, 'place')).toBe('Germany, simulated for development')
    expect(await shown(tab)).toMatchObject({ country: 'DE' })
  })

  it('answers an embedding on WebGPU, and names its adapter', async () => {
    const { status, headers } = await stack.post(tenant, '/v1/embeddings', SHORT, IN_TAB)
    expect(status).toBe(200)
    expect(headers.get('x-littoral-node')).toBe(tab)
    expect(headers.get('x-littoral-provider')).toBe('webgpu')
    expect(headers.get('x-littoral-adapter')).toContain('swiftshader')
  })

  it('answers a kernel with the same bits as the local node on the same adapter', async () => {
    const inTab = await stack.post(tenant, '/v1/compute', SPECTRUM, IN_TAB)
    const inNode = await stack.post(tenant, '/v1/compute', SPECTRUM, IN_LOCAL)
    expect(inTab.headers.get('x-littoral-node')).toBe(tab)
    expect(inNode.headers.get('x-littoral-node')).toBe(local.nodeId)
    expect(inTab.body.outputs).toEqual(inNode.body.outputs)
  })

  it('[C10] [C11] lists both jobs with what they earned, and shows when that is settled', async () => {
    await expect.poll(() => textOf(page, 'jobs-done')).toBe('2')
    expect(await textOf(page, 'jobs')).toMatch(/^GPU kernel\s.*\$0\.\d{6}\s+littoral-embed-400k\s/s)
    expect(await page.getByTestId('chart').getAttribute('aria-label')).toMatch(/^2 jobs/)
    const signed = await textOf(page, 'signed')
    expect(signed).not.toBe('$0.000000')
    await expect.poll(() => textOf(page, 'settled'), { interval: 500 }).toBe(signed)
    expect(await textOf(page, 'pending')).toBe('$0.000000')
  })

  it('[C4] ends an endless kernel by its budget, blames the customer, and answers the next one', async () => {
    const { status, body } = await stack.post(tenant, '/v1/compute', ENDLESS, IN_TAB)
    expect(status).toBe(503)
    expect(body).toMatchObject({ code: 'no_capacity', detail: expect.stringContaining('budget') })
    const failure = page.getByTestId('last-failure')
    await page.getByText('Nothing is wrong with this device').waitFor()
    expect(await failure.getAttribute('data-whose')).toBe('customer')
    const next = await stack.post(tenant, '/v1/compute', SPECTRUM, IN_TAB)
    expect(next.headers.get('x-littoral-node')).toBe(tab)
    await failure.waitFor({ state: 'hidden' })
  })

  it('[C12] offers nothing that its killed GPU process ran, shows the same state as the hub, and answers again', async () => {
    await killGpuProcess(browser)
    await inPhase(page, 'recovering').waitFor()
    await until('the hub knows', async () => (await shown(tab))?.models.length === 0)
    await inPhase(page, 'online').waitFor({ timeout: START_MS })
    await until('the hub knows', async () => (await shown(tab))?.models.length !== 0)
    const { status, headers } = await stack.post(tenant, '/v1/embeddings', SHORT, IN_TAB)
    expect([status, headers.get('x-littoral-node')]).toEqual([200, tab])
    expect(headers.get('x-littoral-provider')).toBe('webgpu')
    const kernel = await stack.post(tenant, '/v1/compute', SPECTRUM, IN_TAB)
    expect([kernel.status, kernel.headers.get('x-littoral-node')]).toEqual([200, tab])
  })

  it('returns its job to the hub when it is paused, and the local node answers it', async () => {
    // A node gets one job at a time until it has answered one.
    expect((await stack.post(tenant, '/v1/embeddings', SHORT, IN_LOCAL)).status).toBe(200)
    // The stopped local node takes two jobs and finishes neither. It has no slot left, so the job goes to the tab.
    process.kill(local.pid, 'SIGSTOP')
    const busy = [1, 2].map(() => stack.post(tenant, '/v1/embeddings', SHORT, IN_LOCAL))
    await until('the local node is full', async () => (await shown(local.nodeId))?.inFlight === 2)
    const texts = Array.from({ length: 256 }, (_, i) =>
      `set the ${i} kitchen fan and the ${i} garage pump to ${i % 100} percent please `.repeat(3),
    )
    const answered = stack.post(tenant, '/v1/embeddings', { model: MODEL, input: texts })
    await until('the tab has the job', async () => (await shown(tab))?.inFlight === 1)
    await page.getByTestId('toggle').click()
    await inPhase(page, 'paused').waitFor()
    expect(await page.getByTestId('last-failure').isHidden()).toBe(true)
    process.kill(local.pid, 'SIGCONT')
    const { status, headers, body } = await answered
    expect(status).toBe(200)
    expect(headers.get('x-littoral-node')).toBe(local.nodeId)
    expect((body.data as unknown[]).length).toBe(256)
    for (const { status: ended } of await Promise.all(busy)) expect(ended).toBe(200)
  })
  it('[C5] leaves the network at once when it is paused, and Resume brings the same node back', async () => {
    await expect.poll(() => shown(tab), { timeout: SILENT_MS }).toBeUndefined()
    const done = await textOf(page, 'jobs-done')
    await pressStart(page)
    await inPhase(page, 'online').waitFor()
    expect(await shown(tab)).toMatchObject({ country: 'DE' })
    expect(await textOf(page, 'jobs-done')).toBe(done)
  })

  it('[C4] shows a claim that the connection contradicts as the reason why no work comes', async () => {
    await page.getByTestId('toggle').click()
    await inPhase(page, 'paused').waitFor()
    await page.getByTestId('country').selectOption('FR')
    await pressStart(page)
    await inPhase(page, 'quarantined').waitFor()
    expect(await textOf(page, 'state')).toBe('Connected, but no work is sent')
    expect(await textOf(page, 'state-detail')).toMatch(/claim/i)
    expect(await textOf(page, 'place')).toBe('Germany, not France as chosen here')
    const remedy = 'If this device is in Germany, press Pause, choose Germany and press Resume.'
    expect(await textOf(page, 'state-detail')).toContain(remedy)
    await page.getByTestId('toggle').click()
    await inPhase(page, 'paused').waitFor()
    await page.getByTestId('country').selectOption('DE')
    await pressStart(page)
    await inPhase(page, 'online').waitFor()
  })

  it('[C5] leaves the network when it is closed', async () => {
    await until('it is on the network', async () => (await shown(tab)) !== undefined)
    await page.close()
    await expect.poll(() => shown(tab), { timeout: SILENT_MS }).toBeUndefined()
  })
})
