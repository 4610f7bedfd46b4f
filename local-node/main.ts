/** A node as a program: `npm run node -- --hub URL --region DE`. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdOf } from '#p2p/peers/identity.ts'
import { NodeCore } from '#node-core/node-core.ts'
import { locateAnchors, locateHub } from '#node-core/locate.ts'
import { createModelShelf } from '#node-core/model-shelf.ts'
import { toAppError } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import { createLog, type Log } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { closeToOthers } from './close-to-others.ts'
import { parseOptions, type NodeOptions } from './config.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { createNodeFiles } from '#local-node/models/model-files.ts'
import { createModelStore, type ModelStore } from '#local-node/models/model-store.ts'
import { loadKeys } from './keys.ts'
import { lockState } from './state-lock.ts'
import { openReceiptJournal } from './receipt-journal.ts'
import { createStateReport, SUMMARY_EVERY_MS } from './report-state.ts'

/** How long a stopping node lets its jobs run before it returns them. Service managers wait at least ten seconds. */
const NODE_LEAVE_MS = 8_000

try {
  await main()
} catch (error) {
  const { code, detail } = toAppError(error)
  console.error(code === 'internal' ? error : detail)
  process.exit(code === 'invalid_request' ? 2 : 1)
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env)
  const log = createLog({ level: options.log }, { part: 'node' })
  await mkdir(options.state, { recursive: true, mode: 0o700 })
  const unlock = await lockState(options.state)
  await closeToOthers(options.state)
  const { identity, signer } = await loadKeys(options.state)
  const store = await openStore(options, log)
  const modelMemoryBytes = options['model-memory'] * MIB
  const { device } = options
  let offering: NodeCore | undefined
  const engine = await createNodeEngine({
    device,
    kernels: 'any',
    models: [],
    store,
    modelMemoryBytes,
    onChange: () => offering?.offerChanged(),
    log,
  })
  const files = await createNodeFiles({
    store,
    manifests: MANIFESTS,
    listen: options['serve-files'],
    announce: options['announce-files'],
    mayDialPrivate: options['file-peers'] === 'any',
    log,
  })
  const shelf = createModelShelf({
    engine,
    manifests: MANIFESTS,
    memoryBytes: modelMemoryBytes,
    fetchFiles: (manifest, how) => files.fetchModel(manifest, how),
    log,
    now: () => performance.now(),
  })
  const receipts = await openReceiptJournal(join(options.state, 'receipts'), { log })
  const where = {
    origin: options.hub,
    nodeId: peerIdOf(identity),
    claim: options.region,
    key: options.key,
    simulatedPlace: options['simulated-place'],
  }
  const report = createStateReport(log)
  setInterval(report.summarize, SUMMARY_EVERY_MS).unref()
  const core = new NodeCore({
    kind: 'local',
    identity,
    signer,
    engine,
    shelf,
    fileAddresses: files.addresses,
    claim: options.region,
    maxJobs: options['max-jobs'],
    receipts,
    locate: (signal) => locateHub(where, signal),
    locateAnchors: (signal, hub) => locateAnchors({ ...where, hub }, signal),
    log,
    now: Date.now,
    onState: report.onState,
  })
  offering = core
  const preloading = new AbortController()
  const isStopping = endOnSignal(async () => {
    preloading.abort()
    await core.leave(NODE_LEAVE_MS)
    await core.stop()
    report.summarize()
    await receipts.close()
    await files.close()
    unlock()
  })
  // The node goes online without models, and offers each model once it has passed its golden case.
  await core.start()
  await core.preload(options.models, preloading.signal)
  if (!isStopping()) log.info('node.ready', { models: engine.models.map(({ id }) => id).join(',') })
}

function openStore(options: NodeOptions, log: Log): Promise<ModelStore> {
  return createModelStore({
    folder: options['model-cache'],
    limitBytes: options['model-cache-size'] * MIB,
    modelHub: options['model-hub'],
    origin: options.hub,
    log,
  })
}

/** Ends the process in order at the first signal, and at once at the second. @returns whether it is ending */
function endOnSignal(end: () => Promise<void>): () => boolean {
  let isEnding = false
  const stop = async () => {
    if (isEnding) process.exit(1)
    isEnding = true
    await end()
    process.exit(0)
  }
  process.on('SIGINT', () => void stop())
  process.on('SIGTERM', () => void stop())
  return () => isEnding
}
