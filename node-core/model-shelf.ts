/** Keeps models loaded within the node's memory, unloading idle ones first, and offers to load the others. */
import type { LiveEngine } from '#engine/engine.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { manifestDigest, modelBytes, type ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { planLoad, type ShelfModel } from './plan-load.ts'

/** A model that was loaded or used this recently is not unloaded for another one. */
const MODEL_KEEP_MS = 10_000
/** A model used this often within `MODEL_DEMAND_MS` is not unloaded for another one. */
export const MODEL_DEMAND_USES = 6
export const MODEL_DEMAND_MS = 60_000
/** Loads that hubs may request from one node. */
export const MODEL_LOADS_PER_MINUTE = 12

export interface ModelShelfDeps {
  readonly engine: LiveEngine
  /** All models that this build knows, most wanted first. */
  readonly manifests: readonly ModelManifest[]
  /** Bytes of model files that may be loaded at once. */
  readonly memoryBytes: number
  /** Brings a model's files to this device, where the engine finds them. @returns releases them */
  readonly fetchFiles: (manifest: ModelManifest, how: FetchModelOptions) => Promise<() => void>
  readonly log: Log
  readonly now: () => number
  /** @default MODEL_KEEP_MS */
  readonly keepMs?: number
}

export interface FetchModelOptions {
  readonly peers: readonly string[]
  readonly signal: AbortSignal
}

export interface LoadOptions {
  readonly peers?: readonly string[]
  readonly signal: AbortSignal
}

export type ModelShelf = Pick<Shelf, keyof Shelf>

export function createModelShelf(deps: ModelShelfDeps): ModelShelf {
  return new Shelf(deps)
}

class Shelf {
  readonly #deps: ModelShelfDeps
  readonly #byDigest: ReadonlyMap<Bytes32, ModelManifest>
  readonly #uses = new Map<string, number>()
  /** The last uses of each model, the newest last. */
  readonly #usedAtMs = new Map<string, number[]>()
  /** Manifests whose golden run failed here; it would fail again. */
  readonly #refused = new Set<Bytes32>()
  readonly #loading = new Map<Bytes32, Promise<AdmittedModel>>()
  /** Sizes of models whose files are here and which are not loaded yet. */
  readonly #coming = new Map<string, number>()
  readonly #fetchTurn = createTurns()
  readonly #admitTurn = createTurns()
  #askedAtMs: number[] = []

  constructor(deps: ModelShelfDeps) {
    this.#deps = deps
    this.#byDigest = new Map(deps.manifests.map((model) => [manifestDigest(model), model]))
  }

  models(): readonly AdmittedModel[] {
    return this.#deps.engine.models
  }

  /** Digests of models that could be loaded and are not. */
  loadable(): Bytes32[] {
    const warm = new Set(this.models().map(({ digest }) => digest))
    return [...this.#byDigest]
      .filter(([digest, manifest]) => {
        const fits = modelBytes(manifest) <= this.#deps.memoryBytes
        const isRunnable = fits && this.#deps.engine.runs(manifest)
        return isRunnable && !warm.has(digest) && !this.#refused.has(digest)
      })
      .map(([digest]) => digest)
      .slice(0, LIMITS.presenceModels)
  }

  /**
   * Loads a model, unloading idle ones for it.
   * @throws {AppError} model_not_found for an unknown digest, rate_limited, no_capacity when it does not fit beside the
   * models in use, file_corrupt, or why the engine refused it
   */
  async load(digest: Bytes32, options: LoadOptions): Promise<AdmittedModel> {
    const manifest = this.#byDigest.get(digest)
    if (manifest === undefined)
      throw new AppError('model_not_found', `This build knows no model with digest ${digest}.`)
    const warm = this.models().find((model) => model.digest === digest)
    if (warm !== undefined) return warm
    const begun = this.#loading.get(digest)
    if (begun !== undefined) return begun
    this.#checkRate()
    const loading = this.#bring(manifest, options, 'unload').finally(() =>
      this.#loading.delete(digest),
    )
    this.#loading.set(digest, loading)
    return loading
  }

  /** Loads models while there is room, unloading none. The next files are fetched while one model is prepared. */
  async preload(
    ids: readonly string[],
    signal: AbortSignal,
    onEach: () => void = () => {},
  ): Promise<void> {
    const { manifests, log } = this.#deps
    const wanted = manifests.filter(({ id }) => ids.includes(id))
    const sizeBytes = wanted.reduce((sum, manifest) => sum + modelBytes(manifest), 0)
    // If all fit, the smallest comes first; otherwise the most wanted does.
    const inTurn =
      sizeBytes <= this.#deps.memoryBytes
        ? wanted.toSorted((a, b) => modelBytes(a) - modelBytes(b))
        : wanted
    await Promise.all(
      inTurn.map((manifest) =>
        this.#bring(manifest, { signal }, 'keep').then(onEach, (error: unknown) => {
          if (signal.aborted) return
          const { detail } = toAppError(error)
          log.warn('model.not-preloaded', { model: manifest.id, detail })
        }),
      ),
    )
  }

  /** Keeps a model loaded while a job uses it. @returns ends that */
  use(id: string): () => void {
    this.#uses.set(id, (this.#uses.get(id) ?? 0) + 1)
    let isUsed = true
    return () => {
      if (!isUsed) return
      isUsed = false
      const left = (this.#uses.get(id) ?? 1) - 1
      if (left > 0) this.#uses.set(id, left)
      else this.#uses.delete(id)
      this.#used(id)
    }
  }

  #used(id: string): void {
    const uses = [...(this.#usedAtMs.get(id) ?? []), this.#deps.now()]
    this.#usedAtMs.set(id, uses.slice(-MODEL_DEMAND_USES))
  }

  #checkRate(): void {
    const nowMs = this.#deps.now()
    this.#askedAtMs = this.#askedAtMs.filter((atMs) => nowMs - atMs < 60_000)
    if (this.#askedAtMs.length >= MODEL_LOADS_PER_MINUTE)
      throw new AppError(
        'rate_limited',
        `This node loads at most ${MODEL_LOADS_PER_MINUTE} models a minute.`,
      )
    this.#askedAtMs.push(nowMs)
  }

  async #bring(
    manifest: ModelManifest,
    { peers = [], signal }: LoadOptions,
    room: 'unload' | 'keep',
  ): Promise<AdmittedModel> {
    const fetched = await this.#fetchTurn(() => this.#fetch(manifest, { peers, signal }, room))
    try {
      // One at a time: two loads would each plan with the same free memory.
      return await this.#admitTurn(async () => {
        const { engine, log, now } = this.#deps
        const startedMs = now()
        for (const id of this.#plan(manifest, room)) await engine.unload(id)
        const admitted = await this.#admit(manifest, signal)
        this.#used(manifest.id)
        log.info('model.loaded', {
          model: manifest.id,
          fetchMs: fetched.ms,
          admitMs: now() - startedMs,
        })
        return admitted
      })
    } finally {
      this.#coming.delete(manifest.id)
      fetched.release()
    }
  }

  async #fetch(
    manifest: ModelManifest,
    how: FetchModelOptions,
    room: 'unload' | 'keep',
  ): Promise<{ readonly ms: number; readonly release: () => void }> {
    const { engine, fetchFiles, now } = this.#deps
    if (how.signal.aborted) throw new AppError('cancelled', `Nobody is waiting for ${manifest.id}.`)
    if (!engine.runs(manifest))
      throw new AppError('no_capacity', `This device lacks what ${manifest.id} requires.`)
    // Planned before the download: a model that would not fit is not fetched.
    this.#plan(manifest, room)
    const startedMs = now()
    const release = await fetchFiles(manifest, how)
    this.#coming.set(manifest.id, modelBytes(manifest))
    return { ms: now() - startedMs, release }
  }

  async #admit(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel> {
    try {
      return await this.#deps.engine.load(manifest, signal)
    } catch (error) {
      // A file may be right the next time; a wrong answer will not be.
      if (toAppError(error).meta.isFinal === true) this.#refused.add(manifestDigest(manifest))
      throw error
    }
  }

  /** @throws {AppError} no_capacity */
  #plan(manifest: ModelManifest, room: 'unload' | 'keep'): readonly string[] {
    const nowMs = this.#deps.now()
    const byId = new Map([...this.#byDigest.values()].map((model) => [model.id, model]))
    const loaded = this.models().map(({ id }): ShelfModel => {
      const known = byId.get(id)
      const uses = this.#usedAtMs.get(id) ?? []
      const usedAtMs = uses.at(-1) ?? -Infinity
      const [oldestMs = -Infinity] = uses
      const isWanted = uses.length === MODEL_DEMAND_USES && nowMs - oldestMs < MODEL_DEMAND_MS
      const { keepMs = MODEL_KEEP_MS } = this.#deps
      return {
        id,
        sizeBytes: known === undefined ? 0 : modelBytes(known),
        usedAtMs,
        isKept: room === 'keep' || this.#uses.has(id) || isWanted || nowMs - usedAtMs < keepMs,
      }
    })
    const isLoaded = new Set(loaded.map(({ id }) => id))
    const coming = [...this.#coming]
      .filter(([id]) => id !== manifest.id && !isLoaded.has(id))
      .map(([id, sizeBytes]) => ({ id, sizeBytes, usedAtMs: nowMs, isKept: true }))
    return planLoad(manifest, [...loaded, ...coming], this.#deps.memoryBytes)
  }
}

/** Runs pieces of work one by one, in the order given. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }
}
