/** The page of the kernel bench: runs every library on the same adapter, one task at a time, and times it here. */
import type { Contender, Operation, PreparedTask, Task } from './contender.ts'
import { openJax } from './jax.ts'
import { openOrt } from './ort.ts'
import { openOurs, type Ours } from './ours.ts'
import { openTfjs } from './tfjs.ts'

const SOFTWARE_NAMES = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i

export interface Opened {
  readonly adapter: string
  readonly isSoftware: boolean
  readonly variants: string
  readonly contenders: readonly string[]
}

export interface PrepareRequest {
  readonly operation: Operation
  readonly shapes: readonly (readonly number[])[]
}

/** Largest difference from our result, as a part of our largest value, by contender. Those that lack the task are left out. */
export type Agreement = Readonly<Record<string, number>>

export interface KernelBench {
  open(): Promise<Opened>
  prepare(request: PrepareRequest): Promise<Agreement>
  /** Milliseconds of each of `count` operations, in sequence. */
  run(contender: string, count: number): Promise<number[]>
  release(): void
}

declare global {
  var kernelBench: KernelBench | undefined
}

const OPERATIONS: readonly Operation[] = ['matmul', 'softmax', 'reduce', 'fft']
let contenders: Contender[] = []
let prepared = new Map<string, PreparedTask>()

globalThis.kernelBench = {
  async open() {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
    if (adapter === null) throw new Error('this browser has no WebGPU adapter')
    const { vendor, architecture, description, isFallbackAdapter } = adapter.info
    const name = [vendor, architecture, description].filter((word) => word !== '').join(' ')
    const isSoftware = isFallbackAdapter || SOFTWARE_NAMES.test(name)
    const ours: Ours = openOurs(await adapter.requestDevice(), isSoftware)
    contenders = [ours, await openTfjs(), await openOrt(), await openJax()]
    return {
      adapter: name,
      isSoftware,
      variants: await ours.variants(OPERATIONS),
      contenders: contenders.map((contender) => contender.name),
    }
  },
  async prepare(request) {
    const task = makeTask(request)
    const results = new Map<string, Float32Array>()
    for (const contender of contenders) {
      const ready = await contender.prepare(task)
      if (ready === undefined) continue
      prepared.set(contender.name, ready)
      results.set(contender.name, await ready.result())
    }
    const [own] = results.values()
    if (own === undefined) throw new Error('nobody computed anything')
    return Object.fromEntries([...results].map(([name, values]) => [name, difference(own, values)]))
  },
  async run(name, count) {
    const ready = prepared.get(name)
    if (ready === undefined) throw new Error(`${name} has nothing prepared`)
    const ms: number[] = []
    for (let i = 0; i < count; i += 1) {
      const startedMs = performance.now()
      await ready.once()
      ms.push(performance.now() - startedMs)
    }
    return ms
  },
  release() {
    for (const ready of prepared.values()) ready.close()
    prepared = new Map()
  },
}

/** Fills tensors with numbers between −1 and 1, the same in every run. */
function makeTask({ operation, shapes }: PrepareRequest): Task {
  let state = 1
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
  const inputs = shapes.map((shape) => {
    const count = shape.reduce((product, size) => product * size, 1)
    return { shape, data: Float32Array.from({ length: count }, next) }
  })
  return { operation, inputs }
}

function difference(own: Float32Array, other: Float32Array): number {
  if (own.length !== other.length) return Infinity
  let worst = 0
  let largest = 0
  for (const [i, value] of own.entries()) {
    worst = Math.max(worst, Math.abs(value - (other[i] ?? NaN)))
    largest = Math.max(largest, Math.abs(value))
  }
  return Number.isNaN(worst) ? Infinity : worst / largest
}
