/** Creates libp2p nodes with our defaults: one factory for hubs, one for nodes. */
import { gossipsub, StrictNoSign, type GossipSub } from '@libp2p/gossipsub'
import { identify, type Identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { nativeNoiseCrypto } from './native-noise.ts'
import { withQuickLengths } from './noise-lengths.ts'
import { webSocketTransport } from '#p2p/transports/websocket.ts'

const MONITOR_PING_MS = 60_000

export { identityFromBytes, identityToBytes, newIdentity, peerIdOf } from './identity.ts'

export interface NodeServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly pubsub: GossipSub
}

/** A running libp2p node with our services. */
export type LittoralNode = Libp2p<NodeServices>

type Transports = NonNullable<Libp2pOptions<NodeServices>['transports']>

export interface HubNodeOptions {
  readonly privateKey: PrivateKey
  /** In a Durable Object: `[durableObjectTransport()]`. */
  readonly transports: Transports
  readonly log: Log
  /** For a hub that is a plain process. */
  readonly listen?: readonly string[]
  /** The only topics it accepts. Other messages and subscriptions are dropped. @default any */
  readonly topics?: readonly string[]
  /** Whether other hubs may be on this machine or network, as in self-hosting and tests. @default false */
  readonly mayDialPrivate?: boolean
}

export interface PeerNodeOptions {
  readonly privateKey: PrivateKey
  readonly log: Log
  /** @default WebSockets */
  readonly transports?: Transports
}

/** Creates a hub, which takes many inbound connections from few addresses and pings only on work streams. */
export async function createHubNode(options: HubNodeOptions): Promise<LittoralNode> {
  const node = await createLibp2p<NodeServices>({
    ...common(options.privateKey, options.topics ?? 'any', HUB_STREAMS),
    transports: options.transports,
    addresses: { listen: [...(options.listen ?? [])] },
    connectionMonitor: { enabled: false },
    connectionManager: {
      // The hub bounds its connections itself (admission, LIMITS.hubNodes). These limits must not interfere.
      maxConnections: LIMITS.hubNodes * 2,
      maxIncomingPendingConnections: LIMITS.hubNodes,
      inboundConnectionThreshold: LIMITS.hubNodes * 2,
      inboundUpgradeTimeout: LIMITS.openTimeoutMs,
      reconnectRetries: 0,
    },
    ...(options.mayDialPrivate === true ? { connectionGater: ANY_ADDRESS } : {}),
  })
  options.log.info('p2p.started', { role: 'hub', peerId: node.peerId.toString() })
  return node
}

/** Creates a node, which dials its hub and does not listen. */
export async function createPeerNode(options: PeerNodeOptions): Promise<LittoralNode> {
  const node = await createLibp2p<NodeServices>({
    ...common(options.privateKey, 'any', PEER_STREAMS),
    transports: options.transports ?? [webSocketTransport()],
    addresses: { listen: [] },
    // The hub pings on the work stream. This only finds connections without one.
    connectionMonitor: { pingInterval: MONITOR_PING_MS },
    connectionManager: {
      dialTimeout: LIMITS.openTimeoutMs,
      addressDialTimeout: LIMITS.openTimeoutMs,
      // `joinHub` reconnects, with a fresh admission each time.
      reconnectRetries: 0,
    },
    // The address comes from the operator's own endpoint, even if that is this machine or a LAN.
    connectionGater: ANY_ADDRESS,
  })
  options.log.info('p2p.started', { role: 'node', peerId: node.peerId.toString() })
  return node
}

/** Bundles for browsers and workerd refuse private addresses unless told otherwise. */
const ANY_ADDRESS = { denyDialMultiaddr: () => false }

/** Streams that one peer may open to a hub (identify and gossip; jobs use a stream the hub opened), and to a node. */
const HUB_STREAMS = 32
const PEER_STREAMS = 256

/** Limits of one gossip message. Hubs and nodes send a few of each. */
const GOSSIP_LIMITS = {
  maxSubscriptions: 32,
  maxMessages: 64,
  maxControlMessages: 64,
  maxIhaveMessageIDs: 1_024,
  maxIwantMessageIDs: 1_024,
  maxIdontwantMessageIDs: 512,
  maxPeerInfos: 16,
}

function common(
  privateKey: PrivateKey,
  topics: readonly string[] | 'any',
  maxInboundStreams: number,
) {
  const crypto = nativeNoiseCrypto()
  const encrypter = noise(crypto === undefined ? {} : { crypto })
  return {
    privateKey,
    nodeInfo: { name: 'littoral', userAgent: 'littoral/1' },
    connectionEncrypters: [
      (components: Parameters<typeof encrypter>[0]) => withQuickLengths(encrypter(components)),
    ],
    streamMuxers: [yamux({ maxInboundStreams })],
    services: {
      identify: identify(),
      pubsub: gossipsub({
        // Records carry their own signature. A second one by gossipsub would only cost.
        globalSignaturePolicy: StrictNoSign,
        allowPublishToZeroTopicPeers: true,
        // Otherwise gossipsub silently graylists peers behind one address, from about fifteen on.
        scoreParams: { IPColocationFactorWeight: 0 },
        maxInboundDataLength: LIMITS.presenceBytes * 2,
        decodeRpcLimits: GOSSIP_LIMITS,
        ...(topics === 'any' ? {} : { allowedTopics: [...topics] }),
      }),
    },
  }
}
