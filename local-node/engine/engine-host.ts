/** The engine of a local node: one process for models and one for kernels, each replaced when it ends. */
import { providersFor } from '#engine/device-offer.ts'
import type { LiveEngine } from '#engine/engine.ts'
import { takeTurns } from '#engine/remote/kernel-turns.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Adapter } from '#shared/job/job.ts'
import type { Log } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { deviceProviders, softwareEnvironment } from './device.ts'
import type { ChildSetup } from './engine-messages.ts'
import { startEngineProcess, type EngineProcess } from './engine-process.ts'
import { keepAlive, startPatiently } from './keep-alive.ts'
import { createModelProcess } from './model-process.ts'
import { plainEnvironment } from './plain-environment.ts'
import {
  createModelStore,
  DEFAULT_MODELS,
  type ModelStore,
  MODEL_MEMORY_BYTES,
} from '#local-node/models/model-store.ts'

/** A process that ends every time shows a missing Vulkan loader; one that ends once may have other reasons. */
const FIRST_STARTS = 3

const NEVER = new AbortController().signal

export interface NodeEngineOptions extends Pick<ChildSetup, 'device' | 'kernels'> {
  /** Ids of the models to load before the engine is ready; others may be loaded later. @default all */
  readonly models?: readonly string[]
  /** @default a store in `.littoral/models` and this repository */
  readonly store?: ModelStore
  /** Bytes of the files of all models that are loaded at once. @default MODEL_MEMORY_BYTES */
  readonly modelMemoryBytes?: number
  /** Called when the engine's offer has changed, because a process ended or was replaced. */
  readonly onChange?: () => void
  readonly log: Log
}

export async function createNodeEngine(options: NodeEngineOptions): Promise<LiveEngine> {
  const { device, log, modelMemoryBytes = MODEL_MEMORY_BYTES, onChange = () => {} } = options
  const store = options.store ?? (await createModelStore({ folder: DEFAULT_MODELS, log }))
  const setup = { device, kernels: options.kernels, adapter: null }
  const { env, first } =
    device === 'cpu'
      ? { env: plainEnvironment(process.env), first: undefined }
      : await findAdapter({ ...setup, role: 'kernels' }, log)
  const adapter = first?.ready.adapter ?? null
  if (adapter === null)
    log.warn('webgpu.missing', {
      detail: 'No WebGPU adapter: models run on the CPU, kernels are refused.',
    })
  if (adapter === null && device === 'webgpu')
    throw new AppError('no_capacity', 'There is no WebGPU adapter on this machine.')
  const kernels =
    first === undefined || adapter === null
      ? undefined
      : keepAlive(first, {
          restart: () => startEngineProcess({ ...setup, role: 'kernels' }, { env, log }),
          onChange,
          keepsOffer: true,
          log,
        })
  const runKernel = kernels && takeTurns(() => Promise.resolve(kernels))
  const modelSetup: ChildSetup = {
    ...setup,
    role: 'models',
    kernels: 'none',
    adapter,
    offer: first?.ready.offer,
    modelMemoryBytes,
  }
  const models = await createModelProcess({
    start: () => startEngineProcess(modelSetup, { env, log }),
    store,
    onChange,
    log,
  })
  for (const manifest of MANIFESTS)
    if (options.models?.includes(manifest.id) ?? true)
      await models.load(manifest, NEVER).catch(() => {})
  return {
    adapter: adapter ?? ({ name: 'cpu', isSoftware: true } satisfies Adapter),
    get models() {
      return models.admitted()
    },
    get kernels() {
      return kernels?.isLive() === true ? (first?.ready.kernels ?? []) : []
    },
    features: first?.ready.features ?? [],
    async run(work, payload, runOptions) {
      if ('model' in work) return models.run(work, payload, runOptions)
      if (runKernel === undefined)
        throw new AppError('forbidden', 'This node has no WebGPU adapter and runs no kernels.')
      return runKernel(work, payload, runOptions)
    },
    runs: (manifest) =>
      providersFor(manifest, { offer: modelSetup.offer, has: deviceProviders(modelSetup) }).length >
      0,
    load: (manifest, signal) => models.load(manifest, signal),
    unload: (id) => models.unload(id),
    async close() {
      await Promise.all([kernels?.close(), models.close()])
    },
  }
}

/** Starts the kernel process on the machine's own driver or, without one, on a software adapter. */
async function findAdapter(
  setup: ChildSetup,
  log: Log,
): Promise<{ env: NodeJS.ProcessEnv; first: EngineProcess | undefined }> {
  const own = plainEnvironment(process.env)
  for (const env of [own, softwareEnvironment(own)]) {
    if (env === undefined) continue
    const first = await startPatiently(() => startEngineProcess(setup, { env, log }), {
      log,
      starts: FIRST_STARTS,
    }).catch(() => undefined)
    if (first?.ready.adapter != null) return { env, first }
    first?.kill()
  }
  return { env: own, first: undefined }
}
