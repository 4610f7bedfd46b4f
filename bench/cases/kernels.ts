/** Measures our kernels against TensorFlow.js, ONNX Runtime and jax-js, in one Chromium page on the same adapter. */
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { buildTestPage } from '#test/browser/build-page.ts'
import { listen, type Listening } from '#test/support/listen.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'
import type { Opened, PrepareRequest } from '../kernels/page/page.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--enable-unsafe-webgpu',
  '--enable-features=WebAssemblyJSPromiseIntegration',
]
const SOFTWARE = ['--use-webgpu-adapter=swiftshader']
const HARDWARE = [
  '--enable-features=Vulkan,WebAssemblyJSPromiseIntegration',
  '--use-angle=vulkan',
  '--disable-vulkan-surface',
]
/** A peer whose result differs by more than this part of the largest value is left out. */
const AGREEMENT = 1e-3
/** About how long one repetition lasts; it has at least one operation. */
const REPETITION_MS = 400
const OURS = 'littoral'

const INCLUDES = {
  [OURS]:
    'our library in the engine: passes encoded and submitted, output left on the device, until the device is done',
  tfjs: '@tensorflow/tfjs-backend-webgpu: the operation, submitted at once, until its device is done',
  'ort-web':
    'onnxruntime-web, WebGPU provider: a graph of one node, tensors bound to the device, until it is done',
  'jax-js': '@jax-js/jax: the jitted operation and blockUntilReady',
}

interface Task extends PrepareRequest {
  readonly name: string
  /** Floating-point operations, for the share of the adapter's peak. */
  readonly flops: number
}

export async function measureKernels(context: BenchContext): Promise<BenchResult> {
  const { dir, quick, kernels } = context
  const server = await serve(await buildTestPage('bench/kernels/page', join(dir, 'kernel-page')))
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [...FLAGS, ...(kernels.gpu ? HARDWARE : SOFTWARE)],
  })
  try {
    const page = await browser.newPage()
    const complaints: string[] = []
    // A refused command would look fast, because nothing is computed.
    page.on('console', (message) => {
      if (/While (encoding|calling|finishing)/.test(message.text())) complaints.push(message.text())
    })
    page.setDefaultTimeout(0)
    await page.goto(server.url)
    await page.waitForFunction(() => globalThis.kernelBench !== undefined)
    const opened = await page.evaluate(() => globalThis.kernelBench?.open())
    if (opened === undefined) throw new Error('the page has no bench')
    const sections: Section[] = []
    const notes: string[] = []
    for (const task of tasksOf(kernels.sizes))
      sections.push(await measureTask(page, task, { quick, notes }))
    if (complaints.length > 0) throw new Error(`WebGPU refused commands: ${complaints[0]}`)
    return {
      name: 'kernels',
      title: `time of one operation on ${opened.adapter}${opened.isSoftware ? ' (software)' : ''}`,
      sections,
      includes: INCLUDES,
      notes: [...notesOf(opened, kernels.peakTflops, sections), ...notes],
    }
  } finally {
    await browser.close()
    await server.close()
  }
}

function tasksOf(sizes: readonly number[]): Task[] {
  return sizes.flatMap((n) => {
    const rows = Math.min(n, 64)
    return [
      {
        name: `matmul ${n}×${n}`,
        operation: 'matmul' as const,
        shapes: [
          [n, n],
          [n, n],
        ],
        flops: 2 * n ** 3,
      },
      { name: `softmax ${n}×${n}`, operation: 'softmax' as const, shapes: [[n, n]], flops: 0 },
      { name: `sum ${n}×${n}`, operation: 'reduce' as const, shapes: [[n, n]], flops: 0 },
      {
        name: `FFT ${rows}×${n}, complex`,
        operation: 'fft' as const,
        shapes: [[rows, n, 2]],
        flops: 0,
      },
    ]
  })
}

interface Measuring {
  readonly quick: boolean
  /** Collects notes for the reader. */
  readonly notes: string[]
}

async function measureTask(page: Page, task: Task, { quick, notes }: Measuring): Promise<Section> {
  const { operation, shapes } = task
  const agreement = await page.evaluate((request) => globalThis.kernelBench?.prepare(request), {
    operation,
    shapes,
  })
  const names: string[] = []
  for (const [name, difference] of Object.entries(agreement ?? {})) {
    if (difference <= AGREEMENT) names.push(name)
    else
      notes.push(
        `${task.name}: ${name} is left out, because its result differs from ours by ${difference.toPrecision(2)} of the largest value.`,
      )
  }
  const contenders: Contender[] = []
  for (const name of names) {
    const [onceMs = 1] = await run(page, name, 1)
    const count = Math.min(200, Math.max(1, Math.round(REPETITION_MS / onceMs)))
    contenders.push({
      name,
      run: async () => ({ latencyMs: await run(page, name, count) }),
    })
  }
  try {
    return await measureSection({
      name: task.name,
      contenders,
      comparisons: names
        .filter((name) => name !== OURS)
        .map((name) => ({ of: name, to: OURS, metric: 'latencyMs' })),
      rounds: quick ? 2 : 7,
    })
  } finally {
    await page.evaluate(() => globalThis.kernelBench?.release())
  }
}

async function run(page: Page, name: string, count: number): Promise<number[]> {
  const ms = await page.evaluate(([who, times]) => globalThis.kernelBench?.run(who, times), [
    name,
    count,
  ] as const)
  return ms ?? []
}

function notesOf(
  opened: Opened,
  peakTflops: number | undefined,
  sections: readonly Section[],
): string[] {
  const notes = [
    'A ratio is how many times longer the peer takes. Inputs and outputs stay on the device.',
    'ONNX Runtime has no Fourier transform on WebGPU.',
    `Variants chosen here: ${opened.variants}.`,
  ]
  for (const { name, figures } of sections) {
    const size = Number(/^matmul (\d+)/.exec(name)?.[1] ?? 0)
    const ours = figures.find((figure) => figure.contender === OURS)
    if (size === 0 || ours === undefined) continue
    const gflops = (2 * size ** 3) / ours.median / 1e6
    const share =
      peakTflops === undefined
        ? ''
        : `, ${((gflops / peakTflops) * 0.1).toFixed(1)} % of ${peakTflops} TFLOP/s`
    notes.push(`${name}: ${gflops.toFixed(2)} GFLOP/s${share}.`)
  }
  return notes
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

function serve(dir: string): Promise<Listening> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const file = join(dir, pathname === '/' ? 'index.html' : normalize(pathname))
    if (!file.startsWith(dir) || !existsSync(file)) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    createReadStream(file).pipe(response)
  })
  return listen(server)
}
