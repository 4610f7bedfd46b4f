/**
 * A process of whole nodes: `node nodes.ts OPTIONS`. Its jobs run until its parent releases them, so that those in flight
 * together end together on any machine. It counts what they cost, and tells its parent when asked.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Engine } from '#engine/engine.ts'
import { holdTimers } from './held-timers.ts'
import { spyOnFiles, spyOnRuntime } from './spies.ts'
import { createTally } from './tally.ts'

const tally = createTally()
spyOnRuntime(tally)
await spyOnFiles(tally, tmpdir())
// A group of receipts then ends only because no other job is left that could join it.
holdTimers(/node-core\/receipt-store\.ts$/)

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

/** What the parent asks for. The answer to each is the counts. */
export type Wish = 'read' | 'reset' | 'open' | { readonly gather: number }

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

const gate = {
  wanted: Infinity,
  waiting: 0,
  gathered: () => {},
  opened: Promise.withResolvers<void>(),
  /** Resolves when the gate is opened. @throws when the hub cancels the job before */
  async pass(signal: AbortSignal): Promise<void> {
    const cancelled = Promise.withResolvers<never>()
    const onAbort = () => {
      this.waiting -= 1
      cancelled.reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort)
    this.waiting += 1
    if (this.waiting === this.wanted) this.gathered()
    await Promise.race([this.opened.promise, cancelled.promise])
    signal.removeEventListener('abort', onAbort)
  },
  /** Closes the gate. @returns once as many jobs wait for it */
  gather(jobs: number): Promise<void> {
    this.opened = Promise.withResolvers()
    this.waiting = 0
    this.wanted = jobs
    return new Promise((resolve) => void (this.gathered = resolve))
  },
}

const engine: Engine = {
  adapter,
  models: [{ id: manifest.id, digest: manifestDigest(manifest), provider: 'cpu', serviceMs: 1 }],
  kernels: 'any',
  async run(_work, _payload, { emit, signal }) {
    await gate.pass(signal)
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
process.on('message', (wish: Wish) => {
  if (wish === 'reset') tally.reset()
  if (wish === 'open') gate.opened.resolve()
  const done = typeof wish === 'object' ? gate.gather(wish.gather) : Promise.resolve()
  void done.then(() => process.send?.(tally.read()))
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
