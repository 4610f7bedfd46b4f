/** Loads the models of a local node into one process, and again into the process that replaces it. */
import type { LiveEngine } from '#engine/engine.ts'
import { toAppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { EngineProcess } from './engine-process.ts'
import { keepAlive, startPatiently } from './keep-alive.ts'
import type { HeldFile, ModelStore } from '#local-node/models/model-store.ts'

export interface ModelProcessOptions {
  readonly start: () => Promise<EngineProcess>
  readonly store: ModelStore
  /** Called when the set of loaded models has changed. */
  readonly onChange: () => void
  readonly log: Log
}

export interface ModelProcess extends Pick<LiveEngine, 'load' | 'unload' | 'run' | 'close'> {
  admitted(): readonly AdmittedModel[]
}

interface Loaded {
  readonly manifest: ModelManifest
  readonly admitted: AdmittedModel
}

export async function createModelProcess(options: ModelProcessOptions): Promise<ModelProcess> {
  const { start, store, onChange, log } = options
  const loaded = new Map<string, Loaded>()

  const loadInto = async (engine: EngineProcess, manifest: ModelManifest, signal: AbortSignal) => {
    const held: HeldFile[] = []
    try {
      for (const file of manifest.files) held.push(await store.fetch(file, { signal }))
      const paths = Object.fromEntries(
        manifest.files.map(({ sha256 }, i) => [sha256, held[i]?.path ?? '']),
      )
      const admitted = await engine.load({ manifest, paths })
      loaded.set(manifest.id, { manifest, admitted })
      return admitted
    } finally {
      for (const file of held) file.release()
    }
  }
  const restart = async () => {
    const engine = await start()
    const before = [...loaded.values()]
    loaded.clear()
    for (const { manifest } of before)
      await loadInto(engine, manifest, new AbortController().signal).catch((error: unknown) =>
        log.warn('model.lost', { model: manifest.id, detail: toAppError(error).detail }),
      )
    return engine
  }
  const kept = keepAlive(await startPatiently(start, { log }), { restart, onChange, log })
  return {
    // Nothing is offered while the process is being replaced.
    admitted: () => (kept.isLive() ? [...loaded.values()].map(({ admitted }) => admitted) : []),
    async load(manifest, signal) {
      const engine = await kept.current()
      return loaded.get(manifest.id)?.admitted ?? loadInto(engine, manifest, signal)
    },
    async unload(id) {
      if (!loaded.delete(id)) return
      const engine = await kept.current()
      await engine.unload(id)
    },
    run: (work, payload, runOptions) => kept.run(work, payload, runOptions),
    close: () => kept.close(),
  }
}
