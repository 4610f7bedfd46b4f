/**
 * A node process that begins a text and holds it until SIGUSR2 or until the job is stopped, however fast the machine
 * is. It takes the options of `npm run node`.
 */
import { join } from 'node:path'
import { parseOptions } from '#local-node/config.ts'
import { loadKeys } from '#local-node/keys.ts'
import { openReceiptJournal } from '#local-node/receipt-journal.ts'
import { locateHub } from '#node-core/locate.ts'
import { NodeCore } from '#node-core/node-core.ts'
import { AppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest } from '#shared/job/model.ts'
import type { TextEvent } from '#shared/job/text.ts'
import { createTextEngine } from '#test/support/hub/text-engine.ts'

const options = parseOptions(process.argv.slice(2), process.env)
const log = createLog({ level: 'info' }, { part: 'node' })
const { identity, signer } = await loadKeys(options.state)

const BEGINNING: TextEvent = { type: 'delta', text: 'first ', tokens: [1] }
const REST: TextEvent[] = [
  { type: 'delta', text: 'last', tokens: [2] },
  { type: 'end', finish: 'stop', promptTokens: 1 },
]

let release = Promise.withResolvers<void>()
process.on('SIGUSR2', () => {
  release.resolve()
  release = Promise.withResolvers()
})

const held = MANIFESTS.filter(({ id }) => options.models.includes(id))
const models = held.map((manifest) => ({ id: manifest.id, digest: manifestDigest(manifest) }))
const engine = createTextEngine(models, async (write, signal) => {
  const stopped = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(new AppError('cancelled', 'The job was stopped.'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  // If the job is stopped in the middle of a write, nobody waits for it.
  stopped.catch(() => {})
  const released = release.promise
  await write(BEGINNING)
  await Promise.race([released, stopped])
  for (const event of REST) await write(event)
})

const core = new NodeCore({
  kind: 'local',
  identity,
  signer,
  engine,
  claim: options.region,
  maxJobs: options['max-jobs'],
  receipts: await openReceiptJournal(join(options.state, 'receipts'), { log }),
  locate: (signal) =>
    locateHub(
      {
        origin: options.hub,
        nodeId: core.state().nodeId,
        claim: options.region,
        key: options.key,
        simulatedPlace: options['simulated-place'],
      },
      signal,
    ),
  log,
  now: Date.now,
  onState: ({ phase, nodeId, detail }) => log.info('node.changed', { phase, nodeId, detail }),
})
process.once('SIGTERM', () => void core.stop().then(() => process.exit(0)))
await core.start()
log.info('node.ready', { models: '' })
