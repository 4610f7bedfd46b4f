/** The hub's end of the dispatch bench: its dispatcher over real work streams, and simpler echoes. */
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Connection, Stream } from '@libp2p/interface'
import { WebSocketServer, type WebSocket } from 'ws'
import { createFrameStream } from '#p2p/stream/frame-stream.ts'
import { WORK_PROTOCOL, type Frame } from '#p2p/stream/frames.ts'
import { WORK_VERSION, type Welcome } from '#p2p/stream/messages.ts'
import { createHubNode, newIdentity, type LittoralNode } from '#p2p/peers/node.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import { durableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { openWork, type WorkLink } from '#p2p/work/work-client.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import { Dispatcher } from '#worker/hub/attempts/dispatcher.ts'
import { createKernelBans } from '#worker/hub/bans/kernel-bans.ts'
import { createKernelRegister } from '#worker/kernels/register.ts'
import { Outbox } from '#worker/hub/receipts/outbox.ts'
import { createReceiptSigning } from '#worker/hub/receipts/signing.ts'
import { ECHO_PROTOCOL, LINKS, UNSIGNED_PROTOCOL, type NodeEndReady } from './echo.ts'

/** Sends bytes and resolves when the same bytes are back. */
export type Echo = (bytes: Uint8Array, link: number) => Promise<void>

export interface HubEnd {
  readonly address: string
  readonly socketUrl: string
  readonly signer: Signer
  readonly dispatcher: Dispatcher
  open(ready: NodeEndReady): Promise<Opened>
  close(): Promise<void>
}

export interface Opened {
  readonly echoSocket: Echo
  readonly echoStream: Echo
  /** The node id of unsigned offers; it is not checked. */
  readonly unsignedNode: NodeId
  /** Work streams to nodes that sign nothing. */
  readonly unsigned: readonly WorkLink[]
}

export const PLACE: Place = placeIn('DE', { trust: 'verified' })
export const HUB = 'hub-bench'
const DOMAIN: Domain = { chainId: 31_337, verifyingContract: `0x${'11'.repeat(20)}` }

export async function createHubEnd(): Promise<HubEnd> {
  const echoes: WebSocket[] = []
  const plain = await listen((socket) => echoes.push(socket))
  // The transport of the Worker's hub, over sockets of the package ws instead of workerd's.
  const transport = durableObjectTransport()
  const node = await createHubNode({
    privateKey: await newIdentity(),
    transports: [transport],
    log: silentLog,
  })
  const nodes = await listen((socket) => {
    transport.accept(socket as unknown as SocketLike, {}).catch(() => socket.terminate())
  })
  const signer = await createSigner(await generateSigningKey(true))
  const directory = new Directory()
  const dispatcher = createDispatcher(signer, directory)
  const welcome: Welcome = {
    version: WORK_VERSION,
    hub: HUB,
    hubKey: signer.publicKey,
    domain: DOMAIN,
    place: PLACE,
    networks: [],
    quarantine: null,
  }
  return {
    address: `/ip4/127.0.0.1/tcp/${portOf(nodes)}/ws`,
    socketUrl: `ws://127.0.0.1:${portOf(plain)}`,
    signer,
    dispatcher,
    async open({ nodes, peers }) {
      const connections = peers.map((id) => connectionOf(node, id))
      for (const id of nodes) await addMember({ node, id, welcome, directory, dispatcher })
      const streams = await Promise.all(connections.map((to) => to.newStream(ECHO_PROTOCOL)))
      const unsigned = connections.map(async (to) =>
        openLink(await to.newStream(UNSIGNED_PROTOCOL), welcome),
      )
      if (echoes.length !== LINKS) throw new Error(`${echoes.length} sockets, not ${LINKS}`)
      return {
        echoSocket: createSocketEcho(echoes),
        echoStream: createStreamEcho(streams),
        unsignedNode: NodeId.parse(peers[0]),
        unsigned: await Promise.all(unsigned),
      }
    },
    async close() {
      await node.stop()
      for (const server of [plain, nodes]) {
        for (const socket of server.clients) socket.terminate()
        server.close()
      }
    },
  }
}

async function listen(onSocket: (socket: WebSocket) => void): Promise<WebSocketServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  server.on('connection', onSocket)
  await once(server, 'listening')
  return server
}

function portOf(server: WebSocketServer): number {
  return (server.address() as AddressInfo).port
}

function createDispatcher(signer: Signer, directory: Directory): Dispatcher {
  const storage = createSqliteStorage({ schema: HUB_SCHEMA })
  const register = createKernelRegister({
    storage: createSqliteStorage(),
    nowMs: Date.now,
    log: silentLog,
  })
  return new Dispatcher({
    hub: HUB,
    domain: DOMAIN,
    directory,
    signing: createReceiptSigning({
      signer,
      domain: DOMAIN,
      outbox: new Outbox(storage, silentLog),
      onReceipts: () => {},
    }),
    bans: createKernelBans({
      registers: { home: register, others: [] },
      now: Date.now,
      log: silentLog,
    }),
    manifests: [],
    now: Date.now,
    random: Math.random,
    randomBytes,
    log: silentLog,
  })
}

function connectionOf(node: LittoralNode, id: string): Connection {
  const found = node.getConnections().find(({ remotePeer }) => remotePeer.toString() === id)
  if (found === undefined) throw new Error(`${id} is not connected`)
  return found
}

interface MemberParts {
  readonly node: LittoralNode
  readonly id: NodeId
  readonly welcome: Welcome
  readonly directory: Directory
  readonly dispatcher: Dispatcher
}

/** Opens the work stream to a complete node and adds it to the directory, as a hub does. */
async function addMember({ node, id, welcome, directory, dispatcher }: MemberParts): Promise<void> {
  const connection = await untilConnected(node, id)
  const link = await openWork(await connection.newStream(WORK_PROTOCOL), {
    welcome: () => Promise.resolve(welcome),
    onReceipt: (kept) => dispatcher.redeliver(kept),
    log: silentLog,
  })
  directory.add({
    admission: { nodeId: id, claim: 'DE', networks: [], voucher: null, reporter: id },
    evidence: standsAt(PLACE),
    link,
    presence: await verifyPresence(link.hello.presence),
    signedPresence: link.hello.presence,
    quarantine: null,
    jobsDone: 0,
    serviceMs: new Map(),
  })
}

async function untilConnected(node: LittoralNode, id: string): Promise<Connection> {
  const isThere = () => node.getConnections().some(({ remotePeer }) => remotePeer.toString() === id)
  while (!isThere()) {
    await once(node, 'connection:open', { signal: AbortSignal.timeout(10_000) })
  }
  return connectionOf(node, id)
}

function openLink(stream: Stream, welcome: Welcome): Promise<WorkLink> {
  return openWork(stream, {
    welcome: () => Promise.resolve(welcome),
    onReceipt: () => Promise.resolve(),
    log: silentLog,
  })
}

function createSocketEcho(sockets: readonly WebSocket[]): Echo {
  const { expect, answered } = createWaiting()
  for (const socket of sockets)
    socket.on('message', (message: Buffer) => answered(message.readUInt32BE(0)))
  return (bytes, link) => {
    const message = Buffer.from(bytes)
    const { id, back } = expect()
    message.writeUInt32BE(id, 0)
    sockets[link]?.send(message)
    return back
  }
}

function createStreamEcho(streams: readonly Stream[]): Echo {
  const { expect, answered } = createWaiting()
  const onFrame = ({ job }: Frame) => answered(job)
  const frames = streams.map((stream) => createFrameStream(stream, { onFrame }))
  return (body, link) => {
    const { id: job, back } = expect()
    frames[link]?.send({ kind: 'data', job, body })
    return back
  }
}

/** Numbers the messages that are under way. */
function createWaiting() {
  const waiting = new Map<number, () => void>()
  let last = 0
  const expect = () => {
    const { promise: back, resolve } = Promise.withResolvers<void>()
    waiting.set(++last, resolve)
    return { id: last, back }
  }
  const answered = (id: number) => {
    waiting.get(id)?.()
    waiting.delete(id)
  }
  return { expect, answered }
}
