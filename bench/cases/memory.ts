/** Measures whether the memory of a local node, of workerd and of a tab stays flat over many jobs. */
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { buildPages } from '#scripts/build/build.ts'
import type { Stack } from '#scripts/stack/stack.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { BenchContext } from '../harness/context.ts'
import { openStack } from '../harness/open-stack.ts'
import { drive, type BenchResult, type Section } from '../harness/harness.ts'
import { createHttpClient } from '../harness/http-client.ts'
import { openNodeHeap, withFreeInspectorPort } from '../memory/node-heap.ts'
import {
  childrenOf,
  commandOf,
  descendantsOf,
  hasMapped,
  residentMiB,
} from '../memory/processes.ts'
import { openTabHeap } from '../memory/tab-heap.ts'
import { growth, slopePerThousand, type Point } from '../memory/trend.ts'
import { summarize } from '../harness/statistics.ts'

const MODEL = 'littoral-embed-400k'
/** Countries of the local node and the tab: a request reaches one of them by narrowing its residency. */
const NODE_COUNTRY = 'FR'
const TAB_COUNTRY = 'DE'
/** Part of the jobs in which caches fill and code is compiled. */
const WARM_UP_PART = 1 / 3
const SAMPLES = 48
const KERNELS = 8
const NODE_IN_FLIGHT = 4
const TAB_IN_FLIGHT = 2
const TAB_START_MS = 150_000

export async function measureMemory({ dir, log, jobs }: BenchContext): Promise<BenchResult> {
  await buildPages(MANIFESTS)
  const { stack, key: apiKey } = await openStack({ dir: join(dir, 'memory'), log })
  try {
    const sections = [
      await measureNode({ stack, apiKey, jobs }),
      await measureTab({ stack, apiKey, jobs }),
    ]
    return {
      name: 'memory',
      title: `memory over ${jobs} jobs`,
      sections,
      includes: INCLUDES,
      notes: [
        `The first ${Math.round(WARM_UP_PART * 100)} % of the jobs are the warm-up and do not count; a ratio compares the medians of the last and the first third of the rest.`,
        'Resident memory includes garbage that is not collected yet.',
      ],
    }
  } finally {
    await stack.close()
  }
}

const INCLUDES = {
  'node heap': "JavaScript objects of a local node's own process, after a collection",
  node: "a local node's own process: libp2p, tickets, receipts",
  models: 'its engine process with ONNX Runtime',
  kernels: 'its engine process with WebGPU',
  workerd: 'Worker, hub, tenant and ledger, all jobs in it',
  tab: 'the renderer process of Chromium that holds page and worker',
  'tab heap': 'JavaScript objects of page and worker, after a collection',
  'tab buffers': 'array buffers and memory of WebAssembly of page and worker, after a collection',
}

interface Target {
  readonly stack: Stack
  readonly apiKey: string
  readonly jobs: number
}

async function measureNode({ stack, apiKey, jobs }: Target): Promise<Section> {
  const node = await withFreeInspectorPort(() =>
    stack.startNode({
      name: 'memory',
      region: NODE_COUNTRY,
      verified: false,
      options: ['--models', MODEL, '--max-jobs', '8'],
    }),
  )
  const heap = await openNodeHeap(node)
  const engines = childrenOf(node.pid)
  const models = engines.find((pid) => hasMapped(pid, 'onnxruntime'))
  const kernels = engines.find((pid) => pid !== models)
  const probes: Record<string, Probe> = {
    'node heap': () => heap.heapMiB(),
    node: () => residentMiB(node.pid),
    workerd: () => residentMiB(stack.worker().pid),
    ...(models === undefined ? {} : { models: () => residentMiB(models) }),
    ...(kernels === undefined ? {} : { kernels: () => residentMiB(kernels) }),
  }
  const requests = [...embeddings(3), ...(kernels === undefined ? [] : [smallKernel])]
  const section = await run(
    { url: stack.url, apiKey, country: NODE_COUNTRY, inFlight: NODE_IN_FLIGHT, jobs, requests },
    probes,
    `a local node, ${jobs} jobs: ${kernels === undefined ? 'embeddings' : 'three embeddings to one kernel'}`,
  )
  heap.close()
  await node.close()
  return section
}

async function measureTab({ stack, apiKey, jobs }: Target): Promise<Section> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-quic', '--disable-features=WebGPU', '--disable-gpu'],
  })
  try {
    const page = await browser.newPage()
    await page.goto(`${stack.url}/contribute?place=${TAB_COUNTRY}`)
    await page.locator('[data-testid=toggle][data-action=start]:enabled').click()
    await page.locator('[data-phase=online]').waitFor({ timeout: TAB_START_MS })
    const heap = await openTabHeap(browser, stack.url)
    const pid = findRenderer()
    return await run(
      {
        url: stack.url,
        apiKey,
        country: TAB_COUNTRY,
        inFlight: TAB_IN_FLIGHT,
        jobs,
        requests: embeddings(1),
      },
      {
        'tab heap': () => heap.heapMiB(),
        'tab buffers': () => heap.buffersMiB(),
        tab: () => residentMiB(pid),
      },
      `a tab on wasm, ${jobs} embeddings`,
    )
  } finally {
    await browser.close()
  }
}

/** Takes the largest renderer: Chromium keeps a spare one. */
function findRenderer(): number {
  const renderers = descendantsOf(process.pid).filter((pid) =>
    commandOf(pid).includes('--type=renderer'),
  )
  const [largest] = renderers.toSorted((a, b) => residentMiB(b) - residentMiB(a))
  if (largest === undefined) throw new Error('Chromium has no renderer')
  return largest
}

type Probe = () => number | Promise<number>
type Request = (index: number) => { readonly path: string; readonly body: object }

interface Load {
  readonly url: string
  readonly apiKey: string
  readonly country: string
  readonly inFlight: number
  readonly jobs: number
  /** Sent in turn. */
  readonly requests: readonly Request[]
}

function embeddings(count: number): Request[] {
  return Array.from({ length: count }, () => (index: number) => ({
    path: '/v1/embeddings',
    body: { model: MODEL, input: `pump ${index} runs hot`, encoding_format: 'base64' },
  }))
}

/** Few different kernels, so that the engine's cache of compiled kernels is used. */
const smallKernel: Request = (index) => {
  const factor = (Math.floor(index / 4) % KERNELS) + 1
  const wgsl = `@group(0) @binding(0) var<storage, read_write> a: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < 64u) { a[id.x] = id.x * ${factor}u; }
}`
  return {
    path: '/v1/compute',
    body: {
      kernel: { wgsl, entryPoint: 'main', workgroups: [1, 1, 1] },
      buffers: [{ binding: 0, access: 'read_write', sizeBytes: 256, return: true }],
    },
  }
}

async function run(
  load: Load,
  probes: Readonly<Record<string, Probe>>,
  name: string,
): Promise<Section> {
  const { url, apiKey, country, inFlight, jobs, requests } = load
  const client = createHttpClient(url, inFlight)
  const headers = {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    'x-littoral-residency': country,
  }
  const points = new Map<string, Point[]>(Object.keys(probes).map((probe) => [probe, []]))
  const every = Math.max(1, Math.floor(jobs / SAMPLES))
  try {
    for (let done = 0; done < jobs; done += every) {
      await drive({ count: Math.min(every, jobs - done), inFlight }, async (offset) => {
        const index = done + offset
        const request = requests[index % requests.length]
        if (request === undefined) throw new Error('nothing to ask')
        const { path, body } = request(index)
        await client.send({ method: 'POST', path, headers, body: JSON.stringify(body) })
      })
      if (done < jobs * WARM_UP_PART) continue
      for (const [probe, read] of Object.entries(probes))
        points.get(probe)?.push({ jobs: done + every, value: await read() })
    }
  } finally {
    client.close()
  }
  return toSection(name, points)
}

function toSection(name: string, points: ReadonlyMap<string, readonly Point[]>): Section {
  const entries = [...points]
  return {
    name,
    ratios: entries.map(([probe, taken]) => {
      const { start, end } = growth(taken)
      const ratio = end / start
      const values = taken.map(({ value }) => value / start)
      return {
        of: `${probe}, last third`,
        to: 'first third',
        metric: 'memory',
        median: ratio,
        min: Math.min(...values),
        max: Math.max(...values),
        rounds: taken.length,
      }
    }),
    figures: entries.flatMap(([probe, taken]) => {
      const slopeKiB = slopePerThousand(taken) * 1024
      return [
        { contender: probe, metric: 'mebibytes', ...summarize(taken.map(({ value }) => value)) },
        { contender: probe, metric: 'kibibytesPerThousandJobs', ...summarize([slopeKiB]) },
      ]
    }),
  }
}
