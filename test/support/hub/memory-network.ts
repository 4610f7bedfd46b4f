/** Real libp2p nodes connected by the memory transport. */
import type { Stream } from '@libp2p/interface'
import { memory } from '@libp2p/memory'
import { multiaddr } from '@multiformats/multiaddr'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { createHubNode, createPeerNode, newIdentity, type LittoralNode } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { createTestNode, type TestNode } from './work.ts'

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
