/** Connects a hub to its nodes: identity, libp2p, members and their presence. */
import type { LittoralNode } from '#p2p/peers/node.ts'
import { createHubNode, peerIdOf } from '#p2p/peers/node.ts'
import { presenceTopic, subscribePresence } from '#p2p/peers/presence.ts'
import {
  durableObjectTransport,
  type DurableObjectTransport,
} from '#p2p/transports/durable-object.ts'
import { AppError } from '#shared/base/errors.ts'
import { NodeId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { Signer } from '#shared/proof/signature.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { SqlStorage } from '#worker/platform/storage.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import { loadIdentity } from './identity.ts'
import { createKnownEchoes, type KnownEchoes } from '#worker/hub/place/known-echoes.ts'

export interface HubNetworkDeps {
  readonly name: string
  readonly storage: SqlStorage
  readonly jurisdiction: Jurisdiction
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
  readonly echoes: KnownEchoes
}

export async function createHubNetwork({
  name,
  storage,
  jurisdiction,
  now,
  log,
  onMember,
}: HubNetworkDeps): Promise<HubNetwork> {
  const { privateKey, signer } = await loadIdentity(storage, jurisdiction)
  const transport = durableObjectTransport({ fetch: dialNobody })
  const topics = [presenceTopic(name)]
  const libp2p = await createHubNode({ privateKey, transports: [transport], topics, log })
  const echoes = createKnownEchoes()
  const directory = new Directory(now, onMember)
  const sendAway = createSendAway(libp2p, log)
  sendSubscribersAway(libp2p, sendAway)
  subscribePresence(
    libp2p,
    presenceTopic(name),
    (record, signed) => directory.refresh(record, signed),
    { now, onBreach: sendAway },
  )
  const peerId = NodeId.parse(peerIdOf(privateKey))
  return { peerId, signer, libp2p, transport, directory, echoes }
}

/** Nodes come to a hub; it goes to nobody. */
function dialNobody(): Promise<never> {
  return Promise.reject(new AppError('internal', 'A hub dials nobody.'))
}

/** Closes the connections of a node that breaks the rules. Its link, jobs and seat end with them. */
function createSendAway(libp2p: LittoralNode, log: Log) {
  return (nodeId: string, why: string): void => {
    const connections = libp2p.getConnections().filter((c) => c.remotePeer.toString() === nodeId)
    for (const connection of connections) {
      if (connection.status !== 'open') continue
      log.warn('node.sent-away', { nodeId, why })
      connection.abort(new Error(why))
    }
  }
}

/** A node that subscribes would learn about other nodes, so it is disconnected. */
function sendSubscribersAway(
  libp2p: LittoralNode,
  sendAway: (nodeId: string, why: string) => void,
): void {
  libp2p.services.pubsub.addEventListener('subscription-change', ({ detail }) => {
    if (!detail.subscriptions.some(({ subscribe }) => subscribe)) return
    sendAway(detail.peerId.toString(), 'nodes publish and do not subscribe')
  })
}
