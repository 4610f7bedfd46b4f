/** WebGPU and ONNX Runtime of a tab; runs inside a dedicated worker, so that the page stays free while a model computes. */
import { createEngine, type EngineOptions, type EngineProgress } from '#engine/create-engine.ts'
import { offerOf, type DeviceOffer } from '#engine/device-offer.ts'
import type { LiveEngine } from '#engine/engine.ts'
import { createOrtSessions, type SessionFactory } from '#engine/models/session.ts'
import { deviceFor } from '#engine/kernels/device-limits.ts'
import type { Adapter, Provider } from '#shared/job.ts'
import type { Log } from '#shared/log.ts'
import type { ModelManifest } from '#shared/model.ts'

export interface TabEngineOptions {
  readonly manifests: readonly ModelManifest[]
  readonly loadFile: EngineOptions['loadFile']
  readonly log: Log
  readonly onProgress?: (progress: EngineProgress) => void
}

/** Files of this size in all compute in well under a second even where a CPU plays the GPU. */
const SMALL_MODEL_BYTES = 4 * 1024 * 1024
const SOFTWARE_NAMES = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i

/** @throws when this browser can load no ONNX Runtime; without WebGPU the engine has wasm models and no kernels */
export async function createTabEngine(options: TabEngineOptions): Promise<LiveEngine> {
  const gpu = await openGpu()
  const runtime = await openRuntime()
  if (gpu === undefined) options.log.warn('webgpu.missing', { detail: 'models run on wasm' })
  return createEngine({
    ...options,
    device: gpu?.device,
    offer: gpu?.offer,
    adapter: gpu?.adapter ?? { name: 'wasm', isSoftware: true },
    sessions: runtime.sessions,
    providers: providersFor(gpu?.adapter, runtime.hasWebGpu),
    kernels: 'any',
    reopenDevice: async () => (await openGpu())?.device,
    now: () => performance.now(),
  })
}

interface Gpu {
  readonly device: GPUDevice
  readonly adapter: Adapter
  readonly offer: DeviceOffer
}

async function openGpu(): Promise<Gpu | undefined> {
  if (!('gpu' in navigator)) return undefined
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) return undefined
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info
  const words = [vendor, architecture, description].filter((word) => word !== '')
  const name = words.length === 0 ? 'unnamed adapter' : words.join(' ').slice(0, 128)
  const isSoftware = isFallbackAdapter || SOFTWARE_NAMES.test(name)
  const device = await adapter.requestDevice(deviceFor(adapter))
  return { device, adapter: { name, isSoftware }, offer: offerOf(adapter) }
}

interface Runtime {
  readonly sessions: SessionFactory
  readonly hasWebGpu: boolean
}

/**
 * ONNX Runtime with WebGPU where the browser suspends WebAssembly by itself (JSPI), otherwise plain wasm: the third
 * build, which suspends by rewritten code, is a file over the 25 MiB that Cloudflare serves.
 * https://developers.cloudflare.com/workers/platform/limits/#static-assets
 */
async function openRuntime(): Promise<Runtime> {
  const hasWebGpu = 'Suspending' in WebAssembly && 'gpu' in navigator
  const ort = hasWebGpu
    ? await import('onnxruntime-web/jspi')
    : await import('onnxruntime-web/wasm')
  // A pool of threads wants a worker of its own for each; the GPU does the work, and volunteers keep their cores.
  ort.env.wasm.numThreads = 1
  return { sessions: createOrtSessions(ort), hasWebGpu }
}

/** WebGPU first on a real adapter; a software one loses to wasm by far, so there it takes the small models only. */
function providersFor(
  adapter: Adapter | undefined,
  hasWebGpu: boolean,
): (manifest: ModelManifest) => readonly Provider[] {
  return ({ files }) => {
    if (adapter === undefined || !hasWebGpu) return ['wasm']
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    return adapter.isSoftware && sizeBytes > SMALL_MODEL_BYTES ? ['wasm'] : ['webgpu', 'wasm']
  }
}
