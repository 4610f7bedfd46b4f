/**
 * The models that a node keeps loaded: within its memory, none unloaded in use, none loaded twice, none with wrong
 * answers retried.
 */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { LiveEngine } from '#engine/engine.ts'
import {
  createModelShelf,
  type ModelShelfDeps,
  MODEL_DEMAND_USES,
  MODEL_DEMAND_MS,
  MODEL_LOADS_PER_MINUTE,
} from '#node-core/model-shelf.ts'
import { planLoad, type ShelfModel } from '#node-core/plan-load.ts'
import { AppError } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { manifestDigest, type ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'

const signal = new AbortController().signal

function model(id: string, sizeBytes: number): ModelManifest {
  const [file] = EMBEDDING_MANIFEST.files
  return { ...EMBEDDING_MANIFEST, id, files: file === undefined ? [] : [{ ...file, sizeBytes }] }
}

/** Loads what it is told to; `fault` makes it fail. */
function createShelf(models: readonly ModelManifest[], deps: Partial<ModelShelfDeps> = {}) {
  const events: string[] = []
  const state = { nowMs: 0, fault: undefined as AppError | undefined, gate: Promise.resolve() }
  let loaded: AdmittedModel[] = []
  const engine: LiveEngine = {
    adapter: { name: 'test', isSoftware: true },
    kernels: [],
    get models() {
      return loaded
    },
    runs: ({ requires }) => requires === undefined,
    load: async ({ id, ...rest }) => {
      await state.gate
      if (state.fault !== undefined) throw state.fault
      events.push(`load ${id}`)
      const digest = manifestDigest({ id, ...rest })
      const admitted = { id, digest, provider: 'cpu' as const, serviceMs: 1 }
      loaded = [...loaded, admitted]
      return admitted
    },
    unload: (id) => {
      events.push(`unload ${id}`)
      loaded = loaded.filter((other) => other.id !== id)
      return Promise.resolve()
    },
    run: () => Promise.reject(new Error('no jobs here')),
    close: () => Promise.resolve(),
  }
  const shelf = createModelShelf({
    engine,
    manifests: models,
    memoryBytes: 100,
    fetchFiles: ({ id }) => {
      events.push(`fetch ${id}`)
      return Promise.resolve(() => void events.push(`release ${id}`))
    },
    log: silentLog,
    now: () => (state.nowMs += 1),
    keepMs: 0,
    ...deps,
  })
  const load = (id: string) =>
    shelf.load(manifestDigest(models.find((known) => known.id === id) as ModelManifest), { signal })
  return { shelf, events, state, load, ids: () => shelf.models().map(({ id }) => id) }
}

describe('a shelf of models', () => {
  it('[M7] unloads the model that was used longest ago, and no more than the new one needs', async () => {
    const { shelf, events, load, ids } = createShelf([
      model('a', 40),
      model('b', 40),
      model('c', 50),
    ])
    await load('a')
    await load('b')
    shelf.use('a')()
    await load('c')
    expect(ids()).toEqual(['a', 'c'])
    expect(events.slice(-4)).toEqual(['fetch c', 'unload b', 'load c', 'release c'])
  })

  it('[M7] unloads no model that a job uses or that was used a moment ago', async () => {
    const { shelf, state, load, ids } = createShelf([model('a', 60), model('b', 60)], {
      keepMs: 1_000,
    })
    await load('a')
    const letGo = shelf.use('a')
    state.nowMs += 5_000
    await expect(load('b')).rejects.toMatchObject({ code: 'no_capacity' })
    letGo()
    await expect(load('b')).rejects.toMatchObject({ code: 'no_capacity' })
    state.nowMs += 5_000
    await load('b')
    expect(ids()).toEqual(['b'])
  })

  it('[M7] unloads no model in steady demand until the demand ends', async () => {
    const { shelf, state, load, ids } = createShelf([model('a', 60), model('b', 60)])
    await load('a')
    for (let use = 0; use < MODEL_DEMAND_USES; use += 1) {
      state.nowMs += 9_000
      shelf.use('a')()
    }
    await expect(load('b')).rejects.toMatchObject({ code: 'no_capacity' })
    // One use is no demand: here somebody asks for all models in turn.
    state.nowMs += MODEL_DEMAND_MS
    shelf.use('a')()
    await load('b')
    expect(ids()).toEqual(['b'])
  })

  it('[M7] fetches nothing for a model that does not fit, and does not offer it', async () => {
    const { shelf, events, load } = createShelf([model('small', 10), model('large', 101)])
    expect(shelf.loadable()).toEqual([manifestDigest(model('small', 10))])
    await expect(load('large')).rejects.toMatchObject({
      code: 'no_capacity',
      detail: expect.stringContaining('101 bytes'),
    })
    expect(events).toEqual([])
  })

  it('[M12] neither offers nor fetches a model whose requirements the device lacks', async () => {
    const needy = { ...model('needy', 10), requires: { bufferBytes: 1, f16: true } }
    const { shelf, events, load } = createShelf([needy, model('a', 10)])
    expect(shelf.loadable()).toEqual([manifestDigest(model('a', 10))])
    await expect(load('needy')).rejects.toMatchObject({ code: 'no_capacity' })
    await shelf.preload(['needy'], signal)
    expect(events).toEqual([])
  })

  it('loads once for all concurrent requests, and does not reload a loaded model', async () => {
    const { events, load } = createShelf([model('a', 10)])
    await Promise.all([load('a'), load('a'), load('a')])
    await load('a')
    expect(events.filter((event) => event === 'load a')).toEqual(['load a'])
  })

  it('[M8] stops offering a model whose answers are wrong here, but offers one again whose file was corrupt', async () => {
    const { shelf, state, load } = createShelf([model('a', 10)])
    const digest = manifestDigest(model('a', 10))
    state.fault = new AppError('file_corrupt', 'model.onnx is corrupt.')
    await expect(load('a')).rejects.toMatchObject({ code: 'file_corrupt' })
    expect(shelf.loadable()).toEqual([digest])
    state.fault = new AppError('no_capacity', 'a does not run here.', { meta: { isFinal: true } })
    await expect(load('a')).rejects.toMatchObject({ code: 'no_capacity' })
    expect(shelf.loadable()).toEqual([])
  })

  it('refuses an unknown digest, and more loads a minute than the limit', async () => {
    const models = Array.from({ length: 20 }, (_, i) => model(`m${i}`, 60))
    const { shelf, load, state } = createShelf(models)
    await expect(shelf.load(`0x${'99'.repeat(32)}`, { signal })).rejects.toMatchObject({
      code: 'model_not_found',
    })
    for (let i = 0; i < MODEL_LOADS_PER_MINUTE; i += 1) await load(`m${i}`)
    await expect(load('m19')).rejects.toMatchObject({ code: 'rate_limited' })
    state.nowMs += 60_000
    await load('m19')
  })

  it('preloads in its own order as far as there is room, and unloads nothing for it', async () => {
    const { shelf, ids } = createShelf([model('a', 60), model('b', 60), model('c', 40)])
    await shelf.preload(['c', 'b', 'a'], signal)
    expect(ids()).toEqual(['a', 'c'])
  })

  it('preloads the smallest first if all fit', async () => {
    const { shelf, events } = createShelf([model('a', 50), model('b', 10), model('c', 30)])
    await shelf.preload(['a', 'b', 'c'], signal)
    expect(events.filter((event) => event.startsWith('load'))).toEqual([
      'load b',
      'load c',
      'load a',
    ])
  })

  it('[M9] fetches the next model’s files while one is prepared, and reserves room for both', async () => {
    const models = [model('a', 60), model('b', 40), model('c', 10)]
    const { shelf, events, state, ids } = createShelf(models)
    const ready = Promise.withResolvers<void>()
    state.gate = ready.promise
    const preloaded = shelf.preload(['a', 'b', 'c'], signal)
    await vi.waitFor(() => expect(events).toContain('fetch b'))
    expect(events).toEqual(['fetch a', 'fetch b'])
    expect(ids()).toEqual([])
    ready.resolve()
    await preloaded
    expect(ids()).toEqual(['a', 'b'])
    expect(events).toEqual(['fetch a', 'fetch b', 'load a', 'release a', 'load b', 'release b'])
  })
})

describe('a plan to load', () => {
  const Loaded = fc.uniqueArray(
    fc.record<ShelfModel>({
      id: fc.uuid(),
      sizeBytes: fc.integer({ min: 1, max: 50 }),
      usedAtMs: fc.nat(1_000),
      isKept: fc.boolean(),
    }),
    { selector: ({ id }) => id, maxLength: 8 },
  )

  it('[M7] keeps every kept model, fits the memory, and unloads nothing needlessly', () => {
    fc.assert(
      fc.property(Loaded, fc.integer({ min: 1, max: 120 }), (loaded, wantedBytes) => {
        const memoryBytes = Math.max(
          100,
          loaded.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        )
        const bytesOf = (models: readonly ShelfModel[]) =>
          models.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
        const kept = bytesOf(loaded.filter(({ isKept }) => isKept))
        let unload: string[]
        try {
          unload = planLoad(model('w', wantedBytes), loaded, memoryBytes)
        } catch {
          expect(kept + wantedBytes).toBeGreaterThan(memoryBytes)
          return
        }
        const left = loaded.filter(({ id }) => !unload.includes(id))
        expect(loaded.filter(({ isKept }) => isKept).every((one) => left.includes(one))).toBe(true)
        expect(bytesOf(left) + wantedBytes).toBeLessThanOrEqual(memoryBytes)
        const last = loaded.find(({ id }) => id === unload.at(-1))
        if (last !== undefined)
          expect(bytesOf(left) + last.sizeBytes + wantedBytes).toBeGreaterThan(memoryBytes)
      }),
      { numRuns: 500 },
    )
  })
})
