/** A local node in this process that fetches all model files from a given origin. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LiveEngine } from '#engine/engine.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { loadKeys } from '#local-node/keys.ts'
import { createNodeFiles } from '#local-node/models/model-files.ts'
import { createModelStore, MODEL_MEMORY_BYTES } from '#local-node/models/model-store.ts'
import { openReceiptJournal } from '#local-node/receipt-journal.ts'
import { locateHub } from '#node-core/locate.ts'
import { createModelShelf, type ModelShelf } from '#node-core/model-shelf.ts'
import { NodeCore } from '#node-core/node-core.ts'
import type { Log } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'

export interface OpenShelfOptions {
  /** Holds the fetched files. An empty folder beside it stands in for the repository. */
  readonly cacheDir: string
  /** Serves `/models/SHA256`. */
  readonly origin: string
  readonly log: Log
}

export interface OpenShelf {
  readonly engine: LiveEngine
  readonly shelf: ModelShelf
  close(): Promise<void>
}

/** Builds store, CPU engine and shelf as a local node does; loads no model. */
export async function openShelf(options: OpenShelfOptions): Promise<OpenShelf> {
  const { cacheDir, origin, log } = options
  const root = `${cacheDir}-empty`
  await mkdir(root, { recursive: true })
  const store = await createModelStore({ folder: cacheDir, root, origin, log })
  const engine = await createNodeEngine({ device: 'cpu', kernels: 'none', models: [], store, log })
  const files = await createNodeFiles({ store, manifests: MANIFESTS, mayDialPrivate: true, log })
  const shelf = createModelShelf({
    engine,
    manifests: MANIFESTS,
    memoryBytes: MODEL_MEMORY_BYTES,
    fetchFiles: (manifest, how) => files.fetchModel(manifest, how),
    log,
    now: () => performance.now(),
  })
  return {
    engine,
    shelf,
    async close() {
      await engine.close()
      await files.close()
    },
  }
}

export interface ShelfNodeOptions extends OpenShelfOptions {
  readonly hub: string
  readonly country: string
  readonly stateDir: string
}

const ONLINE_TIMEOUT_MS = 60_000

/** Resolves when the node is online. */
export async function startShelfNode(
  options: ShelfNodeOptions,
): Promise<{ close(): Promise<void> }> {
  const { hub, country, stateDir, log } = options
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const { identity, signer } = await loadKeys(stateDir)
  const opened = await openShelf(options)
  const { engine, shelf } = opened
  const { promise: online, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(
    () => reject(new Error('the node did not come online')),
    ONLINE_TIMEOUT_MS,
  )
  const core = new NodeCore({
    kind: 'local',
    identity,
    signer,
    engine,
    shelf,
    claim: country,
    maxJobs: 2,
    receipts: await openReceiptJournal(join(stateDir, 'receipts'), { log }),
    locate: (signal) =>
      locateHub(
        {
          origin: hub,
          nodeId: core.state().nodeId,
          claim: country,
          key: undefined,
          simulatedPlace: country,
        },
        signal,
      ),
    log,
    now: Date.now,
    onState: ({ phase }) => {
      if (phase === 'online') resolve()
    },
  })
  await core.start()
  await online.finally(() => clearTimeout(timer))
  return {
    async close() {
      await core.stop()
      await opened.close()
    },
  }
}
