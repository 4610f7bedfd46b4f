/** Connects a hub to the network: identity, libp2p, members, and exchange with the other hubs. */
import type { LittoralNode } from '#p2p/peers/node.ts'
import { createHubNode, peerIdOf } from '#p2p/peers/node.ts'
import { presenceTopic, subscribePresence } from '#p2p/peers/presence.ts'
import {
  durableObjectTransport,
  type DurableObjectTransport,
} from '#p2p/transports/durable-object.ts'
import { NodeId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { Signer } from '#shared/proof/signature.ts'
import type { SqlStorage } from '#worker/platform/storage.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import { loadIdentity } from './identity.ts'
import { createKnownEchoes, type KnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { createMesh, peerFetch, type Mesh, type PeerHub } from './mesh.ts'
import { createNeighbours, type Neighbours } from './neighbours.ts'
import { newsOf, takeNotice } from './news.ts'
import { HUBS_TOPIC } from './notice.ts'

export interface HubNetworkDeps {
  readonly name: string
  readonly storage: SqlStorage
  readonly peers: readonly PeerHub[]
  readonly now: () => number
  readonly log: Log
  /** Called when a member has come, left or changed. */
  readonly onMember: () => void
}

export interface HubNetwork {
  readonly peerId: NodeId
  readonly signer: Signer
  readonly libp2p: LittoralNode
  readonly transport: DurableObjectTransport
  readonly directory: Directory
  readonly neighbours: Neighbours
  readonly echoes: KnownEchoes
  readonly mesh: Mesh
}

export async function createHubNetwork({
  name,
  storage,
  peers,
  now,
  log,
  onMember,
}: HubNetworkDeps): Promise<HubNetwork> {
  const { privateKey, signer } = await loadIdentity(storage)
  const transport = durableObjectTransport({ fetch: peerFetch(peers) })
  const topics = [presenceTopic(name), ...(peers.length > 0 ? [HUBS_TOPIC] : [])]
  const libp2p = await createHubNode({ privateKey, transports: [transport], topics, log })
  const neighbours = createNeighbours(now)
  const echoes = createKnownEchoes()
  const directory = new Directory(now, (member, isHere) => {
    onMember()
    mesh.publish(isHere ? newsOf(member) : { kind: 'left', nodeId: member.presence.nodeId })
  })
  const sendAway = createSendAway(libp2p, (connection) => mesh.isPeer(connection), log)
  const mesh = createMesh({
    hub: name,
    libp2p,
    transport,
    signer,
    peers,
    now,
    log,
    onNotice: (notice) => void takeNotice(notice, { neighbours, directory, echoes, log }),
    onPeer() {
      for (const member of directory.members()) mesh.publish(newsOf(member))
    },
    onStranger: (nodeId) => sendAway(nodeId, 'nodes publish presence only'),
  })
  keepHubsAmongThemselves(libp2p, sendAway)
  subscribePresence(
    libp2p,
    presenceTopic(name),
    (record, signed) => directory.refresh(record, signed),
    { now, onBreach: sendAway },
  )
  const peerId = NodeId.parse(peerIdOf(privateKey))
  return { peerId, signer, libp2p, transport, directory, neighbours, echoes, mesh }
}

/** Closes the connections of a node that breaks the rules. Its link, jobs and seat end with them. */
function createSendAway(libp2p: LittoralNode, isPeer: Mesh['isPeer'], log: Log) {
  return (nodeId: string, why: string): void => {
    const connections = libp2p.getConnections().filter((c) => c.remotePeer.toString() === nodeId)
    for (const connection of connections) {
      if (connection.status !== 'open' || isPeer(connection)) continue
      log.warn('node.sent-away', { nodeId, why })
      connection.abort(new Error(why))
    }
  }
}

/** Hubs share facts about nodes that are not for nodes, so a node that subscribes is disconnected. */
function keepHubsAmongThemselves(
  libp2p: LittoralNode,
  sendAway: (nodeId: string, why: string) => void,
): void {
  libp2p.services.pubsub.addEventListener('subscription-change', ({ detail }) => {
    if (!detail.subscriptions.some(({ subscribe }) => subscribe)) return
    sendAway(detail.peerId.toString(), 'nodes publish and do not subscribe')
  })
}
