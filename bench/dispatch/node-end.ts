/** The node's process of the dispatch bench: complete nodes whose engine echoes, and simpler echoes. */
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { WebSocket } from 'ws'
import type { Engine } from '#engine/engine.ts'
import { openReceiptJournal } from '#local-node/receipt-journal.ts'
import { NodeCore } from '#node-core/node-core.ts'
import { createFrameStream } from '#p2p/stream/frame-stream.ts'
import { WORK_VERSION, type JobOffer, type JobResult } from '#p2p/stream/messages.ts'
import { createPeerNode, newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { signPresence } from '#p2p/peers/presence.ts'
import type { WorkHandler } from '#p2p/work/work-handler.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import type { Answer } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import {
  ECHO_PROTOCOL,
  LINKS,
  NodeEndOptions,
  UNSIGNED_PROTOCOL,
  type NodeEndReady,
} from './echo.ts'
import { answerNats } from './nats.ts'

// Exits in order, so that Node writes a CPU profile of this process.
process.on('SIGTERM', () => process.exit(0))

const options = NodeEndOptions.parse(JSON.parse(process.argv[2] ?? '{}'))
const adapter = { name: 'echo', isSoftware: true }

/** Returns the payload: the bench measures everything around it. */
const echo: Engine = {
  adapter,
  models: [],
  kernels: 'any',
  async run(_work, payload, { emit }) {
    await emit(payload)
    return echoed(payload.length)
  },
  close: () => Promise.resolve(),
}

for (let link = 0; link < LINKS; link++) openSocket()
if (options.natsUrl !== null) await answerNats(options.natsUrl)
const links = Array.from({ length: LINKS }, (_, link) => link)
const ready: NodeEndReady = {
  nodes: await Promise.all(links.map(startNode)),
  peers: await Promise.all(links.map(startPeer)),
}
console.log(JSON.stringify(ready))

function openSocket(): void {
  const socket = new WebSocket(options.socketUrl)
  socket.on('message', (message) => socket.send(message))
}

async function startNode(link: number) {
  const identity = await newIdentity()
  const core = new NodeCore({
    kind: 'local',
    identity,
    signer: await createSigner(await generateSigningKey(true)),
    engine: echo,
    claim: 'DE',
    maxJobs: LIMITS.nodeJobsInFlight,
    receipts: await openReceiptJournal(join(options.dir, `receipts-${link}`), { log: silentLog }),
    locate: () => Promise.resolve(multiaddr(options.hub)),
    log: silentLog,
    now: Date.now,
    onState: () => {},
  })
  await core.start()
  return peerIdOf(identity)
}

async function startPeer() {
  const identity = await newIdentity()
  const signer = await createSigner(await generateSigningKey(true))
  const presence = await signPresence(
    {
      version: 1,
      nodeId: peerIdOf(identity),
      kind: 'local',
      receiptKey: signer.publicKey,
      claim: 'DE',
      adapter,
      models: [],
      kernels: 'any',
      maxJobs: LIMITS.nodeJobsInFlight,
      sequence: 1,
      issuedAtMs: Date.now(),
    },
    identity,
  )
  const handler: WorkHandler = {
    hello: () => Promise.resolve({ version: WORK_VERSION, presence }),
    welcomed: () => {},
    acknowledged: () => {},
    pendingReceipts: () => Promise.resolve([]),
    async run(offer, payload, { emit }) {
      await emit(payload)
      return unsigned(offer, payload.length)
    },
  }
  const node = await createPeerNode({ privateKey: identity, log: silentLog })
  await node.handle(ECHO_PROTOCOL, (stream) => {
    const frames = createFrameStream(stream, { onFrame: (frame) => frames.send(frame) })
  })
  await node.handle(UNSIGNED_PROTOCOL, (stream) => {
    serveWork(stream, handler, { log: silentLog }).catch(() => process.exit(1))
  })
  await node.dial(multiaddr(options.hub))
  return peerIdOf(identity)
}

function echoed(sizeBytes: number): Answer {
  const output = { name: 'binding:0', datatype: 'UINT8' as const, shape: [sizeBytes], sizeBytes }
  return { outputs: [output], provider: 'cpu', adapter, computeMs: 0 }
}

/** A result of the right shape and size, without a valid signature. */
function unsigned({ ticket }: JobOffer, sizeBytes: number): JobResult {
  const work = {
    outputCommitment: ticket.inputCommitment,
    units: ticket.units,
    startedAtMs: ticket.issuedAtMs,
    finishedAtMs: ticket.issuedAtMs,
    provider: 'cpu' as const,
  }
  const nodeSignature = { index: 0, size: 1, path: [], signature: NO_SIGNATURE }
  return { answer: echoed(sizeBytes), work, nodeSignature }
}

const NO_SIGNATURE = `0x${'0'.repeat(128)}` as const
