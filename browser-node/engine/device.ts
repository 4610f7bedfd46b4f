/** Opens WebGPU and ONNX Runtime in one engine worker, and creates the engine on them. */
import { nameAdapter } from '#engine/adapter-name.ts'
import { createEngine, type DeviceEngine, type EngineOptions } from '#engine/create-engine.ts'
import { offerOf } from '#engine/device-offer.ts'
import { deviceFor, featuresOf } from '#engine/kernels/device-limits.ts'
import { paceDevice, type Pace } from '#engine/pace/pace-device.ts'
import type { EngineRole } from '#engine/remote/engine-messages.ts'
import { createOrtSessions, type SessionFactory } from '#engine/runtime/runtime-session.ts'
import type { Provider } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { Ready } from './engine-messages.ts'

export interface RoleEngineOptions extends Pick<EngineOptions, 'loadFile' | 'log' | 'onProgress'> {
  readonly role: EngineRole
  /** Called once; `settled` resolves when no work that the device began still runs. */
  readonly onLost: (reason: string, settled: Promise<unknown>) => void
}

export interface RoleEngine {
  readonly engine: DeviceEngine
  readonly ready: Ready
}

/** Models of at most this size compute in well under a second even on a software adapter. */
const SMALL_MODEL_BYTES = 4 * 1024 * 1024
/** The kernel worker loads no model, so it needs no runtime. */
const NO_RUNTIME: Runtime = {
  sessions: { create: () => Promise.reject(new Error('no models here')) },
  hasWebGpu: false,
  pace: { during: (_, run) => run() },
}

/** @throws when this browser can load no ONNX Runtime; without WebGPU the engine runs models on wasm and no kernels */
export async function openRoleEngine(options: RoleEngineOptions): Promise<RoleEngine> {
  const { role, onLost } = options
  const { gpu }: { gpu?: GPU } = navigator
  const found = (await gpu?.requestAdapter({ powerPreference: 'high-performance' })) ?? undefined
  const device = role === 'kernels' ? await openDevice(found) : undefined
  let isLost = false
  const lose: RoleEngineOptions['onLost'] = (reason, settled) => {
    if (isLost) return
    isLost = true
    onLost(reason, settled)
  }
  const { sessions, hasWebGpu, pace } =
    role === 'kernels'
      ? NO_RUNTIME
      : await openRuntime((used) => {
          void used.lost.then(({ message }) => {
            options.log.warn('device.lost', { reason: message })
            lose('The GPU was lost.', used.lost)
          })
        })
  const adapter = found === undefined ? null : nameAdapter(found.info)
  const offer = found && offerOf(found)
  const engine = await createEngine({
    ...options,
    device,
    offer,
    adapter: adapter ?? { name: 'wasm', isSoftware: true },
    sessions,
    pace,
    providers: (manifest) => tabProviders(manifest, { adapter, hasWebGpu }),
    manifests: [],
    kernels: role === 'kernels' ? 'any' : 'none',
    onDeviceLost(reason) {
      // A hung device is left alone until it ends: destroying it would end the browser's GPU process too.
      if (device !== undefined)
        lose(reason, Promise.race([device.lost, device.queue.onSubmittedWorkDone()]))
    },
    onRuntimeLost: (reason) => lose(reason, Promise.resolve()),
    now: () => performance.now(),
  })
  const features =
    device === undefined ? [] : featuresOf(device, navigator.gpu.wgslLanguageFeatures)
  return { engine, ready: { type: 'ready', adapter, offer, hasWebGpu, features } }
}

/** Puts WebGPU first on a real adapter. A software adapter is far slower than wasm, so it gets only small models. */
export function tabProviders(
  { files }: Pick<ModelManifest, 'files'>,
  { adapter, hasWebGpu }: Pick<Ready, 'adapter' | 'hasWebGpu'>,
): readonly Provider[] {
  if (adapter === null || !hasWebGpu) return ['wasm']
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  return adapter.isSoftware && sizeBytes > SMALL_MODEL_BYTES ? ['wasm'] : ['webgpu', 'wasm']
}

/** Waits until the device answers: it does not while its GPU process still runs the last kernel. */
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
 * Loads ONNX Runtime: with WebGPU where the browser can suspend WebAssembly (JSPI), otherwise plain wasm. The third build
 * suspends by rewritten code, but its file exceeds the 25 MiB that Cloudflare serves:
 * https://developers.cloudflare.com/workers/platform/limits/#static-assets
 *
 * @param onDevice called with the device that the runtime opened; its submissions are paced from then on
 */
async function openRuntime(onDevice: (device: GPUDevice) => void): Promise<Runtime> {
  const hasWebGpu = 'Suspending' in WebAssembly && 'gpu' in navigator
  const ort = hasWebGpu
    ? await import('onnxruntime-web/jspi')
    : await import('onnxruntime-web/wasm')
  // Each further thread needs a worker of its own. The GPU does the work, and volunteers keep their cores.
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
    pace: { during: (signal, run) => paced?.during(signal, run) ?? run() },
  }
}
