/** Connections between the hubs of one deployment, and gossip over them. */
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { LittoralNode } from '#p2p/peers/node.ts'
import type {
  DurableObjectTransport,
  UpgradeFetch,
  UpgradeResponse,
} from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { PublicKey, Signer } from '#shared/proof/signature.ts'
import { HUBS_TOPIC, packNotice, readNotice, type HubNotice } from './notice.ts'

/** Period of a hub's checks of its connections to other hubs. */
const HUB_REACH_MS = 15_000

/** Another hub of this deployment. The platform, not the network, vouches for its identity. */
export interface PeerHub {
  readonly name: string
  /** Also tells it who asks: one of the two hubs dials, and it may be that one. */
  identify(): Promise<{ readonly peerId: string; readonly hubKey: PublicKey }>
  connect(signal: AbortSignal): Promise<UpgradeResponse>
}

export interface MeshDeps {
  readonly hub: string
  readonly libp2p: LittoralNode
  readonly transport: DurableObjectTransport
  readonly signer: Signer
  readonly peers: readonly PeerHub[]
  readonly now: () => number
  readonly log: Log
  readonly onNotice: (notice: HubNotice) => void
  /** Called when another hub has subscribed. The current facts must be published again. */
  readonly onPeer: () => void
  /** Called when a node has published on the hubs' topic. */
  readonly onStranger: (nodeId: string) => void
}

export type News = HubNotice extends infer Notice
  ? Notice extends HubNotice
    ? Omit<Notice, 'hub' | 'sentAtMs'>
    : never
  : never

export interface Mesh {
  onPeerUp(name: string): void
  enter(socket: SocketLike): Promise<void>
  isPeer(connection: Connection): boolean
  /** Publishes to all subscribed hubs; there may be none. */
  publish(news: News): void
  stop(): void
}

const PEER_ADDRESS = 'fd01::1'
const PEER_DOMAIN = '.hub.littoral.internal'

/** Dials between hubs bypass the network and go to the Durable Object of that name. */
export function peerFetch(peers: readonly PeerHub[]): UpgradeFetch {
  return (url, { signal }) => {
    const { hostname } = new URL(url)
    const peer = peers.find(({ name }) => `${name}${PEER_DOMAIN}` === hostname)
    if (peer === undefined)
      return Promise.reject(new AppError('not_found', `There is no hub at ${hostname}.`))
    return peer.connect(signal)
  }
}

export function createMesh(deps: MeshDeps): Mesh {
  const { hub, libp2p, transport, signer, peers, now, log, onNotice, onPeer, onStranger } = deps
  const { pubsub } = libp2p.services
  const keys = new Map<string, { readonly peerId: string; readonly hubKey: PublicKey }>()
  let lastMs = 0

  /** Asked again at each visit: a hub that lost its storage has a new key. */
  const identify = async (peer: PeerHub) => {
    const found = await peer.identify()
    keys.set(peer.name, found)
    return found
  }
  const keyOf = async (name: string): Promise<PublicKey | undefined> => {
    const peer = peers.find((each) => each.name === name)
    if (peer === undefined) return undefined
    return (keys.get(name) ?? (await identify(peer).catch(() => undefined)))?.hubKey
  }
  const reach = async (peer: PeerHub): Promise<void> => {
    const { peerId } = await identify(peer)
    // Only one of the two dials, so that there is one connection.
    if (
      hub > peer.name ||
      libp2p.getConnections().some(({ remotePeer }) => remotePeer.toString() === peerId)
    )
      return
    const address = multiaddr(`/dns4/${peer.name}${PEER_DOMAIN}/tcp/443/tls/ws/p2p/${peerId}`)
    await libp2p.dial(address, { signal: AbortSignal.timeout(LIMITS.openTimeoutMs) })
    log.info('hub.joined', { peer: peer.name })
  }
  const tryReach = (peer: PeerHub) => {
    reach(peer).catch((error: unknown) =>
      log.warn('hub.unreachable', { peer: peer.name, cause: String(error) }),
    )
  }
  const isPeer = ({ direction, remoteAddr }: Connection) =>
    direction === 'outbound' || remoteAddr.toString().startsWith(`/ip6/${PEER_ADDRESS}/`)
  const reachAll = () => peers.forEach(tryReach)
  const onSubscription = ({ detail }: { detail: { peerId: { toString(): string } } }) => {
    const id = detail.peerId.toString()
    if ([...keys.values()].some(({ peerId }) => peerId === id)) onPeer()
  }

  let timer: ReturnType<typeof setInterval> | undefined
  if (peers.length > 0) {
    pubsub.topicValidators.set(HUBS_TOPIC, async (from, message) => {
      // Checked before the signature, so that a node's message costs little.
      if (!libp2p.getConnections(from).some(isPeer)) {
        onStranger(from.toString())
        return TopicValidatorResult.Reject
      }
      const notice = await readNotice(message.data, { keyOf, nowMs: now() })
      if (notice === undefined || notice.hub === hub) return TopicValidatorResult.Reject
      onNotice(notice)
      return TopicValidatorResult.Accept
    })
    pubsub.subscribe(HUBS_TOPIC)
    pubsub.addEventListener('subscription-change', onSubscription)
    reachAll()
    timer = setInterval(reachAll, HUB_REACH_MS)
  }
  return {
    onPeerUp(name) {
      const peer = peers.find((each) => each.name === name)
      // Only the hub that must dial does so. The other would ask back for ever.
      if (peer !== undefined && hub < name) tryReach(peer)
    },
    enter: (socket) => transport.accept(socket, { address: PEER_ADDRESS }),
    isPeer,
    publish(news) {
      if (peers.length === 0) return
      // Keeps two notices of one millisecond in order.
      lastMs = Math.max(now(), lastMs + 1)
      packNotice({ ...news, hub, sentAtMs: lastMs } as HubNotice, signer)
        .then((bytes) => pubsub.publish(HUBS_TOPIC, bytes))
        .catch((error: unknown) => log.warn('hub.publish-failed', { cause: String(error) }))
    },
    stop() {
      if (timer !== undefined) clearInterval(timer)
      pubsub.removeEventListener('subscription-change', onSubscription)
    },
  }
}
