/** The node of a tab: combines engine, keys, receipts and node core, takes commands and sends reports. */
import type { EngineProgress } from '#engine/create-engine.ts'
import { locateAnchors, locateHub } from '#node-core/locate.ts'
import { NodeCore } from '#node-core/node-core.ts'
import { createModelShelf, type ModelShelf } from '#node-core/model-shelf.ts'
import type { NodeState } from '#node-core/node-state.ts'
import { identityFromBytes, peerIdOf } from '#p2p/peers/identity.ts'
import { AppError } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { modelBytes, type ModelManifest } from '#shared/job/model.ts'
import { countryCode } from '#shared/law/region.ts'
import { createTabEngine, type TabEngine } from '../engine/tab-engine.ts'
import { keepKeys, openKeys } from './keys.ts'
import { MAX_TEXT, type Command, type HubView, type NodeView, type Report } from './protocol.ts'
import { createReceiptStore } from './receipts.ts'
import { openStorage } from './storage.ts'

/** Size of a tab's loaded models, as bytes of their files. */
const TAB_MEMORY_BYTES = 512 * MIB

/** One job computes while the input of the next one arrives. */
const MAX_JOBS = 2
/** How often the worker checks that its keys are still stored. */
const STORAGE_LOOK_MS = 5_000

export interface TabNodeDeps {
  /** The operator's Worker, which served this page. */
  readonly origin: string
  readonly report: (report: Report) => void
  readonly log: Log
  readonly now: () => number
}

type StartCommand = Extract<Command, { type: 'start' }>

type Loaded = Awaited<ReturnType<typeof load>>

export function createTabNode(deps: TabNodeDeps) {
  let loaded: Promise<Loaded> | undefined
  let core: { readonly node: NodeCore; readonly key: string } | undefined
  let isStorageLost = false

  const pause = async () => {
    if (loaded === undefined) return
    const { engine } = await loaded
    await Promise.all([core?.node.pause(), engine.rest()])
    deps.report({ type: 'rested' })
  }
  const onStorageLost = () => {
    if (isStorageLost) return
    isStorageLost = true
    deps.log.warn('storage.lost')
    deps.report({ type: 'storage-lost' })
    void pause()
  }
  /** Stores the same keys again: a new start continues this node. */
  const restore = async (before: Loaded): Promise<Loaded> => {
    const storage = await openStorage()
    await keepKeys(storage, before.keys)
    watchStorage({ ...before, storage }, onStorageLost)
    core = undefined
    isStorageLost = false
    return { ...before, storage }
  }
  const open = async (): Promise<Loaded> => {
    const parts = await load(deps, () => core?.node.offerChanged())
    watchStorage(parts, onStorageLost)
    return parts
  }
  return {
    /** Loads what is missing and goes online. @throws {AppError} when this browser cannot be a node */
    async start(command: StartCommand) {
      loaded = isStorageLost && loaded !== undefined ? loaded.then(restore) : (loaded ?? open())
      const parts = await loaded
      // Models that the pause ended are loaded again before the node offers them.
      await parts.engine.wake()
      const key = `${command.claim} ${command.simulatedPlace ?? ''}`
      // A new place needs new signed records, hence a new core. The pause has ended all work of the old one.
      if (core?.key !== key) core = { node: createCore(command, parts, deps), key }
      await core.node.start()
    },
    pause,
  }
}

/** A browser closes a database that it clears. One that a script empties stays open, so its contents are checked too. */
function watchStorage({ storage, keys }: Loaded, onLost: () => void): void {
  const nodeId = peerIdOf(keys.identity)
  const timer = setInterval(() => void look(), STORAGE_LOOK_MS)
  const lose = () => {
    clearInterval(timer)
    storage.close()
    onLost()
  }
  const look = async () => {
    const kept = await storage.readIdentity().catch(() => undefined)
    const isRight = kept !== undefined && peerIdOf(identityFromBytes(kept)) === nodeId
    if (!isRight) lose()
  }
  void storage.lost.then(lose)
}

async function load(deps: TabNodeDeps, onChange: () => void) {
  const storage = await openStorage()
  const keys = await openKeys(storage)
  const engine = await openEngine(deps, onChange)
  const runsKernels = engine.kernels === 'any' || engine.kernels.length > 0
  if (engine.models.length > 0 || runsKernels)
    return { storage, keys, engine, shelf: createShelf(engine, deps) }
  await engine.close()
  throw new AppError(
    'no_capacity',
    `No model or kernel of the network runs correctly on ${engine.adapter.name}, so this browser takes no jobs.`,
  )
}

/** Creates the shelf of models that a hub may ask this tab to load, in addition to the first ones or instead of them. */
function createShelf(engine: TabEngine, { log }: TabNodeDeps): ModelShelf {
  return createModelShelf({
    engine,
    manifests: MANIFESTS,
    memoryBytes: TAB_MEMORY_BYTES,
    // The engine fetches files itself, directly into the buffer that it loads from. A tab can dial no other node,
    // because its page's policy allows only the operator.
    fetchFiles: () => Promise.resolve(() => {}),
    log,
    now: () => performance.now(),
  })
}

/** Gives the first models of the list that fit into a tab's memory. */
function startingModels(): ModelManifest[] {
  let leftBytes: number = TAB_MEMORY_BYTES
  return MANIFESTS.filter((manifest) => {
    const fits = modelBytes(manifest) <= leftBytes
    if (fits) leftBytes -= modelBytes(manifest)
    return fits
  })
}

async function openEngine({ report, log }: TabNodeDeps, onChange: () => void): Promise<TabEngine> {
  const manifests = startingModels()
  const totalBytes = manifests.reduce((sum, manifest) => sum + modelBytes(manifest), 0)
  let loadedBytes = 0
  let isStarting = true
  report({ type: 'download', loadedBytes, totalBytes })
  const onBytes = (sizeBytes: number) => {
    if (!isStarting) return
    loadedBytes += sizeBytes
    report({ type: 'download', loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes })
  }
  const onProgress = createProgressReports(report)
  try {
    return await createTabEngine({ manifests, log, onProgress, onBytes, onChange })
  } finally {
    isStarting = false
  }
}

/** Reports the engine's steps and the models that do not run here. */
function createProgressReports(report: TabNodeDeps['report']): (progress: EngineProgress) => void {
  const refused = new Map<string, string>()
  return ({ model, step, detail }) => {
    if (step === 'checking')
      report({
        type: 'preparing',
        step: `Checking ${model} on ${detail} against its known answers. The first check also downloads the runtime and compiles shaders.`,
      })
    // A model that fails on one provider may still pass on the next.
    if (step === 'refused') refused.set(model, detail)
    else if (step === 'admitted') refused.delete(model)
    else return
    const models = [...refused].map(([id, why]) => ({ id, detail: why.slice(0, MAX_TEXT) }))
    report({ type: 'left-out', models })
  }
}

function createCore(command: StartCommand, parts: Loaded, deps: TabNodeDeps): NodeCore {
  const { claim, simulatedPlace } = command
  const { storage, keys, engine, shelf } = parts
  const { origin, report, log, now } = deps
  const where = { origin, nodeId: peerIdOf(keys.identity), claim, simulatedPlace }
  return new NodeCore({
    kind: 'tab',
    ...keys,
    engine,
    shelf,
    claim,
    maxJobs: MAX_JOBS,
    receipts: createReceiptStore(storage, log),
    locate: (signal) => locateHub(where, signal),
    locateAnchors: (signal, hub) => locateAnchors({ ...where, hub }, signal),
    log,
    now,
    onState: (state) => report({ type: 'node', node: viewOf(state, engine) }),
  })
}

function viewOf(state: NodeState, engine: TabEngine): NodeView {
  const { phase, detail, nodeId, claim, adapter, running, jobsDone, jobsFailed } = state
  return {
    phase,
    detail,
    nodeId,
    claim,
    adapter,
    models: state.models.map(({ id, provider }) => ({ id, provider })),
    kernels: state.kernels,
    lost: engine.trouble() ?? null,
    running,
    jobsDone,
    jobsFailed,
    signedMicroUsd: state.earnedMicroUsd,
    unacknowledged: state.unacknowledged,
    lastJobs: [...state.lastJobs],
    lastFailure: state.lastFailure,
    hub: hubOf(state),
  }
}

function hubOf({ welcome }: NodeState): HubView | null {
  if (welcome === null) return null
  const { country, evidence, source } = welcome.place
  const { hub, quarantine } = welcome
  return { name: hub, country: countryCode(country), evidence, source, quarantine }
}
