/** The loaded models of an engine: each is admitted by its golden run, and unloaded when its memory is needed. */
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import type { Provider } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelFile, ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import { admitModel, type LoadedModel } from './admit.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import type { SessionFactory } from '#engine/runtime/runtime-session.ts'
import { providersFor, type DeviceOffer } from './device-offer.ts'
import type { JobQueue } from './queue.ts'

export interface EngineProgress {
  readonly model: string
  readonly step: 'fetching' | 'checking' | 'admitted' | 'refused'
  readonly detail: string
}

export interface ModelSetOptions {
  readonly sessions: SessionFactory
  /** In order of preference. A model uses the first provider whose golden run is right. */
  readonly providers: readonly Provider[] | ((manifest: ModelManifest) => readonly Provider[])
  readonly offer?: DeviceOffer | undefined
  readonly loadFile: (file: ModelFile, signal: AbortSignal) => Promise<Uint8Array>
  readonly log: Log
  /** Monotonic clock in ms. */
  readonly now: () => number
  readonly onProgress?: (progress: EngineProgress) => void
}

export type ModelSet = ReturnType<typeof createModelSet>

export function createModelSet(options: ModelSetOptions, queue: JobQueue) {
  const loaded = new Map<string, LoadedModel>()
  const release = (model: LoadedModel) => queue.run(() => model.release(), NEVER)
  return {
    get: (id: string) => loaded.get(id),
    runs: (manifest: ModelManifest) => providersOf(manifest, options).length > 0,
    admitted: () => [...loaded.values()].map(({ admitted }) => admitted),
    /**
     * Fetches, checks and admits a model; returns at once when it is loaded already.
     * @throws {AppError} file_corrupt, no_capacity with each provider's reason, cancelled
     */
    async load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel> {
      const before = loaded.get(manifest.id)
      if (before !== undefined) return before.admitted
      const model = await loadModel(manifest, options, { queue, signal })
      const meanwhile = loaded.get(manifest.id)
      if (meanwhile !== undefined) {
        await release(model)
        return meanwhile.admitted
      }
      loaded.set(manifest.id, model)
      return model.admitted
    },
    /** New jobs no longer find the model; its memory is freed after the running job. */
    async unload(id: string) {
      const model = loaded.get(id)
      if (model === undefined) return
      loaded.delete(id)
      await release(model)
      options.log.info('model.unloaded', { model: id })
    },
    async close() {
      const models = [...loaded.values()]
      loaded.clear()
      for (const model of models) await model.release()
    },
  }
}

function providersOf(
  manifest: ModelManifest,
  { providers, offer }: Pick<ModelSetOptions, 'offer' | 'providers'>,
): Provider[] {
  const has = typeof providers === 'function' ? providers(manifest) : providers
  return providersFor(manifest, { offer, has })
}

const NEVER = new AbortController().signal

interface LoadContext {
  readonly queue: JobQueue
  readonly signal: AbortSignal
}

async function loadModel(
  manifest: ModelManifest,
  options: ModelSetOptions,
  { queue, signal }: LoadContext,
): Promise<LoadedModel> {
  const { sessions, now, log, onProgress } = options
  const report = (step: EngineProgress['step'], detail: string) =>
    onProgress?.({ model: manifest.id, step, detail })
  const providers = providersOf(manifest, options)
  if (providers.length === 0) {
    report('refused', LACKING)
    throw unable(manifest, LACKING)
  }
  report('fetching', manifest.title)
  const files = await loadFiles(manifest, options, signal)
  const reasons: string[] = []
  for (const provider of providers) {
    report('checking', provider)
    const what = `${manifest.id} on ${provider}`
    try {
      // The device runs one thing at a time, and a golden run is no exception.
      const admit = () =>
        beforeDeadline(admitModel({ manifest, files, provider, sessions, now }), {
          timeoutMs: LIMITS.modelLoadMs,
          what,
        })
      const model = await queue.run(admit, signal)
      const { serviceMs } = model.admitted
      log.info('model.admitted', { model: manifest.id, provider, serviceMs })
      report('admitted', provider)
      return model
    } catch (error) {
      // A full queue says nothing about the model.
      if (signal.aborted || errorCode(error) === 'no_capacity') throw error
      const cause = describe(error)
      reasons.push(`${provider}: ${cause}`)
      log.warn('model.refused', { model: manifest.id, provider, cause })
      report('refused', `${provider}: ${cause}`)
    }
  }
  throw unable(manifest, reasons.join('; '))
}

const LACKING = 'no provider here meets its requirements'

function unable({ id }: ModelManifest, why: string): AppError {
  return new AppError('no_capacity', `${id} does not run here: ${why}.`, {
    meta: { isFinal: true },
  })
}

async function loadFiles(
  manifest: ModelManifest,
  { loadFile, onProgress, log }: ModelSetOptions,
  signal: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  const within = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.modelFetchMs)])
  try {
    for (const file of manifest.files) {
      const bytes = await loadFile(file, within)
      if (bytes.length !== file.sizeBytes || (await digestBytes(bytes)) !== file.sha256)
        throw new AppError(
          'file_corrupt',
          `${file.name} of ${manifest.id} is not the file that its manifest names.`,
        )
      files.set(file.name, bytes)
    }
    return files
  } catch (error) {
    const detail = describe(error)
    log.warn('model.not-loaded', { model: manifest.id, cause: detail })
    onProgress?.({ model: manifest.id, step: 'refused', detail })
    throw errorCode(error) === undefined
      ? new AppError('no_capacity', `The files of ${manifest.id} are not available.`, {
          cause: error,
        })
      : error
  }
}

function describe(error: unknown): string {
  const { code, detail, cause } = toAppError(error)
  return code === 'internal' && cause instanceof Error ? cause.message : detail
}
