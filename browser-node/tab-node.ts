/** The node of a tab: engine, keys, receipts and node core put together, told by commands, heard by reports. */
import type { EngineProgress } from '#engine/create-engine.ts'
import type { Engine } from '#engine/engine.ts'
import { locateHub } from '#node-core/locate.ts'
import { createNodeCore, type NodeCore } from '#node-core/node-core.ts'
import type { NodeState } from '#node-core/node-state.ts'
import { AppError, errorCode } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { MANIFESTS } from '#shared/manifests.ts'
import type { ModelManifest } from '#shared/model.ts'
import { countryCode } from '#shared/region.ts'
import { createTabEngine } from './device.ts'
import { openKeys, type NodeKeys } from './keys.ts'
import { createModelFiles } from './model-files.ts'
import { MAX_TEXT, type Command, type HubView, type NodeView, type Report } from './protocol.ts'
import { createReceiptStore } from './receipts.ts'
import { openStorage, type NodeStorage } from './storage.ts'

/** One computes while the bytes of the next one travel; the GPU runs them one after the other. */
const MAX_JOBS = 2

export interface TabNodeDeps {
  /** Of the operator's Worker, which served this page. */
  readonly origin: string
  readonly report: (report: Report) => void
  readonly log: Log
  readonly now: () => number
}

export interface TabNode {
  /** Loads what is not loaded yet and goes online. @throws {AppError} when this browser cannot be a node */
  start(command: StartCommand): Promise<void>
  pause(): Promise<void>
}

type StartCommand = Extract<Command, { type: 'start' }>

interface Loaded {
  readonly storage: NodeStorage
  readonly keys: NodeKeys
  readonly engine: Engine
}

export function createTabNode(deps: TabNodeDeps): TabNode {
  let loaded: Promise<Loaded> | undefined
  let core: { readonly node: NodeCore; readonly key: string } | undefined

  return {
    async start(command) {
      loaded ??= load(deps)
      const parts = await loaded
      const key = `${command.claim} ${command.simulatedPlace ?? ''}`
      // A node that stands elsewhere now says so in new records; what the old core ran has ended with its pause.
      if (core?.key !== key) core = { node: createCore(command, parts, deps), key }
      await core.node.start()
    },
    async pause() {
      await core?.node.pause()
    },
  }
}

async function load(deps: TabNodeDeps): Promise<Loaded> {
  const storage = await openStorage()
  const keys = await openKeys(storage)
  const engine = await openEngine(deps)
  const runsKernels = engine.kernels === 'any' || engine.kernels.length > 0
  if (engine.models.length > 0 || runsKernels) return { storage, keys, engine }
  await engine.close()
  throw new AppError(
    'no_capacity',
    `Nothing of what the network offers runs correctly on ${engine.adapter.name}, so this browser takes no jobs.`,
  )
}

async function openEngine({ origin, report, log }: TabNodeDeps): Promise<Engine> {
  const totalBytes = sumBytes(MANIFESTS)
  let loadedBytes = 0
  report({ type: 'download', loadedBytes, totalBytes })
  const loadFile = createModelFiles({
    origin,
    fetch: (input, init) => fetch(input, init),
    cache: await caches.open('littoral-models'),
    onBytes: (sizeBytes) => {
      loadedBytes += sizeBytes
      report({ type: 'download', loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes })
    },
  })
  const onProgress = createProgressReports(report)
  try {
    return await createTabEngine({ manifests: MANIFESTS, loadFile, log, onProgress })
  } catch (cause) {
    if (errorCode(cause) !== undefined) throw cause
    const detail = `The program that runs models could not be loaded: ${String(cause)}`
    throw new AppError('internal', detail.slice(0, MAX_TEXT), { cause })
  }
}

/** The engine's steps in words, and the models that it leaves out. */
function createProgressReports(report: TabNodeDeps['report']): (progress: EngineProgress) => void {
  const refused = new Map<string, string>()
  return ({ model, step, detail }) => {
    if (step === 'checking')
      report({
        type: 'preparing',
        step: `Checking ${model} on ${detail} against its known answers. The first time, this also fetches the runtime and compiles shaders.`,
      })
    // A model that one provider gets wrong may still be right on the next.
    if (step === 'refused') refused.set(model, detail)
    else if (step === 'admitted') refused.delete(model)
    else return
    const models = [...refused].map(([id, why]) => ({ id, detail: why.slice(0, MAX_TEXT) }))
    report({ type: 'left-out', models })
  }
}

function sumBytes(manifests: readonly ModelManifest[]): number {
  const files = manifests.flatMap((manifest) => manifest.files)
  return files.reduce((sum, file) => sum + file.sizeBytes, 0)
}

function createCore(command: StartCommand, parts: Loaded, deps: TabNodeDeps): NodeCore {
  const { claim, simulatedPlace } = command
  const { storage, keys, engine } = parts
  const { origin, report, log, now } = deps
  const node = createNodeCore({
    kind: 'tab',
    ...keys,
    engine,
    claim,
    maxJobs: MAX_JOBS,
    receipts: createReceiptStore(storage, log),
    locate: (signal) => {
      const { nodeId } = node.state()
      return locateHub({ origin, nodeId, claim, simulatedPlace }, signal)
    },
    log,
    now,
    onState: (state) => report({ type: 'node', node: viewOf(state) }),
  })
  return node
}

function viewOf(state: NodeState): NodeView {
  const { phase, detail, nodeId, claim, adapter, running, jobsDone, jobsFailed } = state
  return {
    phase,
    detail,
    nodeId,
    claim,
    adapter,
    models: state.models.map(({ id, provider }) => ({ id, provider })),
    kernels: state.kernels === 'any' ? 0 : state.kernels,
    running,
    jobsDone,
    jobsFailed,
    signedMicroUsd: state.earnedMicroUsd,
    unacknowledged: state.unacknowledged,
    lastJobs: [...state.lastJobs],
    lastError: state.lastError,
    hub: hubOf(state),
  }
}

function hubOf({ welcome }: NodeState): HubView | null {
  if (welcome === null) return null
  const { country, evidence, source } = welcome.place
  const { hub, quarantine } = welcome
  return { name: hub, country: countryCode(country), evidence, source, quarantine }
}
