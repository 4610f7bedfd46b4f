/** The engine of a tab: models in one worker, kernels in another. Each is replaced when lost, and not offered meanwhile. */
import { providersFor } from '#engine/device-offer.ts'
import type { EngineProgress } from '#engine/create-engine.ts'
import type { LiveEngine } from '#engine/engine.ts'
import { takeTurns } from '#engine/remote/kernel-turns.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { tabProviders } from './device.ts'
import { openEngineLink, type EngineLink } from './engine-link.ts'
import { createEnginePart, lost } from './engine-part.ts'

export interface TabEngineOptions {
  /** Models to load before the engine is ready; models that do not run here are left out. */
  readonly manifests: readonly ModelManifest[]
  readonly log: Log
  readonly onProgress?: (progress: EngineProgress) => void
  readonly onBytes?: (sizeBytes: number) => void
  /** Called when the engine's offer has changed. */
  readonly onChange?: () => void
}

export interface TabEngine extends LiveEngine {
  /** Why a part of the engine is not offered now. */
  trouble(): string | undefined
  /** Resolves when all work has ended. */
  rest(): Promise<void>
  /** Resolves when all models that were loaded are loaded again. */
  wake(): Promise<void>
}

/** @throws {AppError} when this browser can load no runtime; without WebGPU the engine runs models on wasm and no kernels */
export async function createTabEngine(options: TabEngineOptions): Promise<TabEngine> {
  const models = openModels(options)
  const kernels = openKernels(options)
  const wake = async () => {
    await Promise.all([models.part.start(), kernels.start()])
  }
  await wake()
  let adapter = models.part.current()?.ready.adapter ?? CPU_ADAPTER
  const kernelLink = () => {
    const link = kernels.current()
    return link?.ready.adapter == null ? undefined : link
  }
  const runKernel = takeTurns(async () => {
    const link = await kernels.next()
    if (link.ready.adapter !== null) return link
    throw new AppError('forbidden', 'This browser has no WebGPU adapter and runs no kernels.')
  })
  return {
    get adapter() {
      // While both workers are lost, the last known adapter.
      return (adapter = (models.part.current() ?? kernels.current())?.ready.adapter ?? adapter)
    },
    get models() {
      return models.admitted()
    },
    get kernels() {
      return kernelLink() === undefined ? [] : 'any'
    },
    get features() {
      return kernelLink()?.ready.features ?? []
    },
    runs: (manifest) => models.runs(manifest),
    load: (manifest, signal) => models.load(manifest, signal),
    unload: (id) => models.unload(id),
    async run(work, payload, runOptions) {
      if (!('model' in work)) return runKernel(work, payload, runOptions)
      const link = models.part.current()
      if (link === undefined) throw lost(models.part.trouble())
      return link.run(work, payload, runOptions)
    },
    trouble: () => models.part.trouble() ?? kernels.trouble(),
    async rest() {
      // A run on wasm blocks its worker until it ends.
      await Promise.all([models.part.rest(LIMITS.pieceMs), kernels.rest()])
    },
    wake,
    close() {
      models.part.close()
      kernels.close()
      return Promise.resolve()
    },
  }
}

/** The worker for models. Its loaded models are loaded again into the worker that replaces it. */
function openModels({
  manifests,
  log,
  onProgress,
  onBytes,
  onChange = () => {},
}: TabEngineOptions) {
  const wanted = new Map(manifests.map((manifest) => [manifest.id, manifest]))
  const admitted = new Map<string, AdmittedModel>()
  const loadInto = async (link: EngineLink, manifest: ModelManifest, signal: AbortSignal) => {
    const model = await link.load(manifest, signal)
    if (part.current() !== link) throw lost(part.trouble())
    wanted.set(manifest.id, manifest)
    admitted.set(manifest.id, model)
    onChange()
    return model
  }
  const part = createEnginePart({
    open: () => openEngineLink({ role: 'models', onProgress, onBytes }),
    async prepare(link) {
      for (const manifest of wanted.values())
        await loadInto(link, manifest, NEVER).catch((error: unknown) =>
          log.warn('model.left-out', { model: manifest.id, detail: toAppError(error).detail }),
        )
    },
    onChange() {
      if (part.current() === undefined) admitted.clear()
      onChange()
    },
    log,
  })
  return {
    part,
    admitted: () => [...admitted.values()],
    runs(manifest: ModelManifest) {
      const ready = part.current()?.ready
      const has = ready === undefined ? [] : tabProviders(manifest, ready)
      return providersFor(manifest, { offer: ready?.offer, has }).length > 0
    },
    async load(manifest: ModelManifest, signal: AbortSignal) {
      const link = part.current()
      if (link === undefined) throw lost(part.trouble())
      return admitted.get(manifest.id) ?? loadInto(link, manifest, signal)
    },
    async unload(id: string) {
      wanted.delete(id)
      if (admitted.delete(id)) await part.current()?.unload(id)
    },
  }
}

function openKernels({ log, onChange = () => {} }: TabEngineOptions) {
  let hadAdapter = false
  return createEnginePart({
    async open() {
      const link = await openEngineLink({ role: 'kernels' })
      const hasAdapter = link.ready.adapter !== null
      hadAdapter ||= hasAdapter
      if (hasAdapter || !hadAdapter) return link
      // After several deaths of its GPU process a browser withholds the GPU from pages for some minutes.
      link.end(WITHHELD)
      throw new AppError('no_capacity', WITHHELD)
    },
    prepare: () => Promise.resolve(),
    onChange,
    log,
  })
}

const NEVER = new AbortController().signal
const WITHHELD = 'The browser gives this page no GPU now.'
const CPU_ADAPTER = { name: 'wasm', isSoftware: true }
