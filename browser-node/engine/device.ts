/** WebGPU and ONNX Runtime of one engine worker, and the engine on them. */
import { createEngine, type DeviceEngine, type EngineProgress } from '#engine/create-engine.ts'
import { offerOf, type DeviceOffer } from '#engine/device-offer.ts'
import { deviceFor, featuresOf } from '#engine/kernels/device-limits.ts'
import { paceDevice, type Pace } from '#engine/pace/pace-device.ts'
import { createOrtSessions, type SessionFactory } from '#engine/runtime/runtime-session.ts'
import type { Adapter, Provider } from '#shared/job/job.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelFile, ModelManifest } from '#shared/job/model.ts'
import type { EngineRole } from './engine-messages.ts'

export interface RoleEngineOptions {
  readonly role: EngineRole
  readonly loadFile: (file: ModelFile, signal: AbortSignal) => Promise<Uint8Array>
  readonly log: Log
  readonly onProgress: (progress: EngineProgress) => void
  /** Called once; `settled` resolves when nothing that the device began still runs. */
  readonly onLost: (reason: string, settled: Promise<unknown>) => void
}

export interface RoleEngine {
  readonly engine: DeviceEngine
  readonly adapter: Adapter | null
  readonly offer: DeviceOffer | undefined
  readonly hasWebGpu: boolean
  /** What its kernels may enable. */
  readonly features: readonly string[]
}

/** Files of this size in all compute in well under a second even where a CPU plays the GPU. */
const SMALL_MODEL_BYTES = 4 * 1024 * 1024
const SOFTWARE_NAMES = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i
/** The kernel worker loads no model, and so no runtime. */
const NO_RUNTIME: Runtime = {
  sessions: { create: () => Promise.reject(new Error('no models here')) },
  hasWebGpu: false,
  pace: { during: (_, run) => run() },
}

/** @throws when this browser can load no ONNX Runtime; without WebGPU the engine has wasm models and no kernels */
export async function openRoleEngine(options: RoleEngineOptions): Promise<RoleEngine> {
  const { role, onLost } = options
  const found = await findAdapter()
  const device = role === 'kernels' ? await openDevice(found?.gpu) : undefined
  const lose = once(onLost)
  const { sessions, hasWebGpu, pace } =
    role === 'kernels'
      ? NO_RUNTIME
      : await openRuntime((used) => {
          void used.lost.then(({ message }) => {
            options.log.warn('device.lost', { reason: message })
            lose('The GPU was lost.', used.lost)
          })
        })
  const adapter = found?.adapter ?? null
  const engine = await createEngine({
    ...options,
    device,
    offer: found?.offer,
    adapter: adapter ?? { name: 'wasm', isSoftware: true },
    sessions,
    pace,
    providers: (manifest) => tabProviders(manifest, { adapter, hasWebGpu }),
    manifests: [],
    kernels: role === 'kernels' ? 'any' : 'none',
    onDeviceLost(reason) {
      // A hung one is left alone until it comes to its end: destroying it takes the browser's GPU process with it.
      if (device !== undefined)
        lose(reason, Promise.race([device.lost, device.queue.onSubmittedWorkDone()]))
    },
    onRuntimeLost: (reason) => lose(reason, Promise.resolve()),
    now: () => performance.now(),
  })
  const features =
    device === undefined ? [] : featuresOf(device, navigator.gpu.wgslLanguageFeatures)
  return { engine, adapter, offer: found?.offer, hasWebGpu, features }
}

/** WebGPU first on a real adapter; a software one loses to wasm by far, so there it takes the small models only. */
export function tabProviders(
  { files }: Pick<ModelManifest, 'files'>,
  { adapter, hasWebGpu }: Pick<RoleEngine, 'adapter' | 'hasWebGpu'>,
): readonly Provider[] {
  if (adapter === null || !hasWebGpu) return ['wasm']
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  return adapter.isSoftware && sizeBytes > SMALL_MODEL_BYTES ? ['wasm'] : ['webgpu', 'wasm']
}

interface Found {
  readonly gpu: GPUAdapter
  readonly adapter: Adapter
  readonly offer: DeviceOffer
}

async function findAdapter(): Promise<Found | undefined> {
  if (!('gpu' in navigator)) return undefined
  const gpu = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (gpu === null) return undefined
  const { vendor, architecture, description, isFallbackAdapter } = gpu.info
  const words = [vendor, architecture, description].filter((word) => word !== '')
  const name = words.length === 0 ? 'unnamed adapter' : words.join(' ').slice(0, 128)
  const isSoftware = isFallbackAdapter || SOFTWARE_NAMES.test(name)
  return { gpu, adapter: { name, isSoftware }, offer: offerOf(gpu) }
}

/** A device that answers: one whose GPU process still works at the last kernel does not. */
async function openDevice(gpu: GPUAdapter | undefined): Promise<GPUDevice | undefined> {
  const device = await gpu?.requestDevice(deviceFor(gpu))
  await device?.queue.onSubmittedWorkDone()
  return device
}

interface Runtime {
  readonly pace: Pace
  readonly sessions: SessionFactory
  readonly hasWebGpu: boolean
}

/**
 * ONNX Runtime with WebGPU where the browser suspends WebAssembly by itself (JSPI), otherwise plain wasm: the third
 * build, which suspends by rewritten code, is a file over the 25 MiB that Cloudflare serves.
 * https://developers.cloudflare.com/workers/platform/limits/#static-assets
 *
 * @param onDevice called with the device that the runtime opened for itself; what it submits is paced from then on
 */
async function openRuntime(onDevice: (device: GPUDevice) => void): Promise<Runtime> {
  const hasWebGpu = 'Suspending' in WebAssembly && 'gpu' in navigator
  const ort = hasWebGpu
    ? await import('onnxruntime-web/jspi')
    : await import('onnxruntime-web/wasm')
  // A pool of threads wants a worker of its own for each; the GPU does the work, and volunteers keep their cores.
  ort.env.wasm.numThreads = 1
  const plain = createOrtSessions(ort)
  let isWatched = false
  let paced: Pace | undefined
  const sessions: SessionFactory = {
    async create(model, provider, options) {
      const session = await plain.create(model, provider, options)
      if (provider === 'webgpu' && !isWatched) {
        isWatched = true
        const device = await ort.env.webgpu.device
        paced = paceDevice(device, () => performance.now())
        onDevice(device)
      }
      return session
    },
  }
  return {
    sessions,
    hasWebGpu,
    pace: {
      during: (signal, run) => (paced === undefined ? run() : paced.during(signal, run)),
    },
  }
}

function once(onLost: RoleEngineOptions['onLost']): RoleEngineOptions['onLost'] {
  let isLost = false
  return (reason, settled) => {
    if (isLost) return
    isLost = true
    onLost(reason, settled)
  }
}
