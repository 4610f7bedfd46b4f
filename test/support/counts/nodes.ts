/**
 * A process of whole nodes with an engine that answers at once: `node nodes.ts OPTIONS`. It counts what its jobs cost,
 * and tells its parent when asked.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Engine } from '#engine/engine.ts'
import { spyOnFiles, spyOnRuntime } from './spies.ts'
import { createTally } from './tally.ts'

const tally = createTally()
spyOnRuntime(tally)
await spyOnFiles(tally, tmpdir())

// After the spies: these keep references to functions of the runtime.
const { multiaddr } = await import('@multiformats/multiaddr')
const { openReceiptJournal } = await import('#local-node/receipt-journal.ts')
const { NodeCore } = await import('#node-core/node-core.ts')
const { newIdentity, peerIdOf } = await import('#p2p/peers/node.ts')
const { createLog } = await import('#shared/base/log.ts')
const { LIMITS } = await import('#shared/base/limits.ts')
const { createSigner, generateSigningKey } = await import('#shared/proof/signature.ts')
const { MANIFESTS } = await import('#shared/job/manifests.ts')
const { manifestDigest } = await import('#shared/job/model.ts')

const Options = z.strictObject({
  model: z.string(),
  nodes: z.int(),
  dir: z.string(),
  /** Without the node's own part of the path. */
  hub: z.string(),
  hubPeerId: z.string(),
})

const options = Options.parse(JSON.parse(process.argv[2] ?? '{}'))
const manifest = MANIFESTS.find(({ id }) => id === options.model)
if (manifest === undefined) throw new Error(`${options.model} is no model of this build`)
const adapter = { name: 'counted', isSoftware: true }
const VECTOR_BYTES = 512

const engine: Engine = {
  adapter,
  models: [{ id: manifest.id, digest: manifestDigest(manifest), provider: 'cpu', serviceMs: 1 }],
  kernels: 'any',
  async run(_work, _payload, { emit }) {
    await emit(new Uint8Array(VECTOR_BYTES))
    const shape = [1, VECTOR_BYTES / 4]
    const output = {
      name: 'embedding',
      datatype: 'FP32' as const,
      shape,
      sizeBytes: VECTOR_BYTES,
    }
    return { outputs: [output], provider: 'cpu', adapter, computeMs: 0 }
  },
  close: () => Promise.resolve(),
}

const log = createLog({
  write: (line, level) => tally.add('log lines', `${level} ${JSON.parse(line).event}`),
})

for (let index = 0; index < options.nodes; index += 1) await startNode(index)
process.on('message', (wish) => {
  if (wish === 'reset') tally.reset()
  process.send?.(tally.read())
})
// Its parent has ended.
process.on('disconnect', () => process.exit(0))
process.send?.('ready')

async function startNode(index: number): Promise<void> {
  const identity = await newIdentity()
  const own = encodeURIComponent(`node/${peerIdOf(identity)}`)
  const core = new NodeCore({
    kind: 'local',
    identity,
    signer: await createSigner(await generateSigningKey(true)),
    engine,
    claim: 'DE',
    maxJobs: LIMITS.nodeJobsInFlight,
    receipts: await openReceiptJournal(join(options.dir, `receipts-${index}`), { log }),
    locate: () =>
      Promise.resolve(multiaddr(`${options.hub}/http-path/${own}/p2p/${options.hubPeerId}`)),
    log,
    now: Date.now,
    onState: () => {},
  })
  await core.start()
}
