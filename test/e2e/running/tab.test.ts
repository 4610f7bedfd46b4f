import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import {
  inPhase,
  killGpuProcess,
  launchBrowser,
  pressStart,
  START_MS,
  textOf,
} from '#test/support/stack/contribute-page.ts'
import { createTestStack, openPolicy, type TestStack } from '#test/support/stack/stack.ts'
import { until } from '#test/support/poll.ts'

const MODEL = 'littoral-embed-400k'
/** A kernel that keeps the local node's device busy until its time is over. */
const ENDLESS = {
  kernel: {
    wgsl: '@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n@compute @workgroup_size(1) fn main() { loop { a[0] += 1u; if (a[0] == 0u) { break; } a[0] = 1u; } }',
    entryPoint: 'main',
    workgroups: [1, 1, 1],
  },
  buffers: [{ binding: 0, access: 'read_write', sizeBytes: 4, return: true }],
}

let stack: TestStack
let tenant: Tenant
let browser: Browser
let page: Page
let tab: string
let local: NodeProcess
beforeAll(async () => {
  stack = await createTestStack()
  tenant = await stack.createTenant('acme', ['infer', 'policy'])
  await stack.pin(tenant, openPolicy('EU'))
  browser = await launchBrowser()
  page = await browser.newPage()
  await page.goto(`${stack.url}/contribute?place=DE`)
  await pressStart(page)
  await inPhase(page, 'online').waitFor({ timeout: START_MS })
  tab = await textOf(page, 'node-id')
  local = await stack.startNode({ name: 'fr', region: 'FR', verified: false })
})
afterAll(async () => {
  await browser?.close()
  await stack?.close()
})

interface Shown {
  readonly nodeId: string
  readonly inFlight: number
  readonly models: readonly unknown[]
}

/** A node as its hub knows it. */
async function offerOf(nodeId: string): Promise<Shown> {
  const { body } = await stack.get(tenant, '/v1/network')
  const nodes = body.nodes as Shown[]
  return nodes.find((node) => node.nodeId === nodeId) ?? { nodeId, inFlight: 0, models: [] }
}

async function inFlight(nodeId: string): Promise<number> {
  return (await offerOf(nodeId)).inFlight
}

describe('a Chromium tab beside a local node', () => {
  it('answers an embedding on WebGPU, and names its adapter', async () => {
    const { status, headers } = await stack.post(
      tenant,
      '/v1/embeddings',
      { model: MODEL, input: 'is it private?' },
      { 'x-littoral-residency': 'DE' },
    )
    expect(status).toBe(200)
    expect(headers.get('x-littoral-node')).toBe(tab)
    expect(headers.get('x-littoral-provider')).toBe('webgpu')
    expect(headers.get('x-littoral-adapter')).toContain('swiftshader')
  })

  it('answers a kernel of the list, with the same bits as the local node on the same adapter', async () => {
    const request = SPECTRUM_KERNEL.request(vibrationWindow().samples)
    const inTab = await stack.post(tenant, '/v1/compute', request, { 'x-littoral-residency': 'DE' })
    const inNode = await stack.post(tenant, '/v1/compute', request, {
      'x-littoral-residency': 'FR',
    })
    expect(inTab.headers.get('x-littoral-node')).toBe(tab)
    expect(inNode.headers.get('x-littoral-node')).toBe(local.nodeId)
    expect(inTab.body.outputs).toEqual(inNode.body.outputs)
  })

  it("[C4] ends a stranger's endless kernel by its budget, as no fault of the device, and answers the next one", async () => {
    const { status, body } = await stack.post(tenant, '/v1/compute', ENDLESS, {
      'x-littoral-residency': 'DE',
    })
    expect(status).toBe(503)
    expect(body).toMatchObject({ code: 'no_capacity', detail: expect.stringContaining('budget') })
    const failure = page.getByTestId('last-failure')
    await page.getByText('Nothing is wrong with this device').waitFor()
    expect(await failure.getAttribute('data-whose')).toBe('customer')
    const request = SPECTRUM_KERNEL.request(vibrationWindow().samples)
    const next = await stack.post(tenant, '/v1/compute', request, { 'x-littoral-residency': 'DE' })
    expect(next.headers.get('x-littoral-node')).toBe(tab)
    await failure.waitFor({ state: 'hidden' })
  })

  it('[C12] takes what its killed GPU process ran off the offer, shows what the hub knows, and answers again', async () => {
    await killGpuProcess(browser)
    await inPhase(page, 'recovering').waitFor()
    await until('the hub knows', async () => (await offerOf(tab)).models.length === 0)
    const narrowed = { 'x-littoral-residency': 'DE' }
    const ask = () =>
      stack.post(tenant, '/v1/embeddings', { model: MODEL, input: 'is it private?' }, narrowed)
    await inPhase(page, 'online').waitFor({ timeout: START_MS })
    await until('the hub knows', async () => (await offerOf(tab)).models.length > 0)
    const { status, headers } = await ask()
    expect([status, headers.get('x-littoral-node')]).toEqual([200, tab])
    expect(headers.get('x-littoral-provider')).toBe('webgpu')
    const request = SPECTRUM_KERNEL.request(vibrationWindow().samples)
    const kernel = await stack.post(tenant, '/v1/compute', request, narrowed)
    expect([kernel.status, kernel.headers.get('x-littoral-node')]).toEqual([200, tab])
  })

  it('hands its job to the local node when it is paused', async () => {
    const narrowed = { 'x-littoral-residency': 'FR' }
    const short = { model: MODEL, input: 'is it private?' }
    // Until it has answered one, a node has one at a time.
    expect((await stack.post(tenant, '/v1/embeddings', short, narrowed)).status).toBe(200)
    // Stopped, the local node takes two jobs and ends neither: both its places are taken, so the job goes to the tab.
    process.kill(local.pid, 'SIGSTOP')
    const busy = [
      stack.post(tenant, '/v1/embeddings', short, narrowed),
      stack.post(tenant, '/v1/embeddings', short, narrowed),
    ]
    await until('the local node is full', async () => (await inFlight(local.nodeId)) === 2)
    const texts = Array.from({ length: 256 }, (_, i) =>
      `set the ${i} kitchen fan and the ${i} garage pump to ${i % 100} percent please `.repeat(3),
    )
    const answered = stack.post(tenant, '/v1/embeddings', { model: MODEL, input: texts })
    await until('the tab has the job', async () => (await inFlight(tab)) === 1)
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
})
