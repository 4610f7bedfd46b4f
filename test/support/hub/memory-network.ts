/** Real libp2p nodes connected by the memory transport. */
import type { Stream } from '@libp2p/interface'
import { memory } from '@libp2p/memory'
import { multiaddr } from '@multiformats/multiaddr'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { createHubNode, createPeerNode, newIdentity, type LittoralNode } from '#p2p/peers/node.ts'
import type { JobOffer } from '#p2p/stream/messages.ts'
import { openWork, type OpenWorkOptions, type WorkLink } from '#p2p/work/work-client.ts'
import { silentLog } from '#shared/base/log.ts'
import { createTestHub, createTestNode, type TestHub, type TestNode } from './work.ts'

let addresses = 0

export interface MemoryNetwork {
  readonly hub: LittoralNode
  readonly address: string
  /** A node that is connected to the hub. */
  connect(): Promise<ConnectedNode>
  close(): Promise<void>
}

export interface ConnectedNode {
  readonly identity: TestNode
  readonly libp2p: LittoralNode
  /** Both ends of a stream that the hub has opened to this node. */
  openStream(): Promise<{ hubEnd: Stream; nodeEnd: Stream }>
}

export async function createMemoryNetwork(): Promise<MemoryNetwork> {
  addresses += 1
  const address = `/memory/hub-${process.pid}-${addresses}`
  const hub = await createHubNode({
    privateKey: await newIdentity(),
    transports: [memory()],
    listen: [address],
    log: silentLog,
  })
  const nodes: LittoralNode[] = [hub]
  return {
    hub,
    address,
    async connect() {
      const identity = await createTestNode()
      const libp2p = await createPeerNode({
        privateKey: identity.identity,
        transports: [memory()],
        log: silentLog,
      })
      nodes.push(libp2p)
      let arrived = Promise.withResolvers<Stream>()
      await libp2p.handle(WORK_PROTOCOL, (stream) => arrived.resolve(stream))
      await libp2p.dial(multiaddr(address))
      return {
        identity,
        libp2p,
        async openStream() {
          arrived = Promise.withResolvers<Stream>()
          const [connection] = hub.getConnections(libp2p.peerId)
          if (connection === undefined) throw new Error('not connected')
          const hubEnd = await connection.newStream(WORK_PROTOCOL)
          return { hubEnd, nodeEnd: await arrived.promise }
        },
      }
    },
    async close() {
      for (const node of nodes) await node.stop()
    },
  }
}

/** A hub and a node, for tests of one work stream. */
export interface WorkBench {
  readonly hub: TestHub
  readonly node: ConnectedNode
  /** An offer of model work to the node. */
  offer(payload: Uint8Array): Promise<JobOffer>
  /** Opens the hub's side of a work stream. */
  open(hubEnd: Stream, options?: Partial<OpenWorkOptions>): Promise<WorkLink>
  close(): Promise<void>
}

export async function createWorkBench(): Promise<WorkBench> {
  const network = await createMemoryNetwork()
  const hub = await createTestHub()
  const node = await network.connect()
  return {
    hub,
    node,
    offer: (payload) => hub.offer(node.libp2p.peerId.toString(), payload),
    open: (hubEnd, options = {}) =>
      openWork(hubEnd, {
        welcome: () => hub.welcome(),
        onReceipt: () => Promise.resolve(),
        log: silentLog,
        ...options,
      }),
    close: () => network.close(),
  }
}
