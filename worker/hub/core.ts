/** A hub without its runtime: identity, libp2p, members, dispatch and outbox, put together over what it is given. */
import type { Domain } from '#shared/eip712.ts'
import type { AnchorPlace } from '#shared/evidence.ts'
import { NodeId, randomBytes, type Bytes32, type TenantId } from '#shared/ids.ts'
import type { Log } from '#shared/log.ts'
import type { ModelManifest } from '#shared/model.ts'
import type { ReceiptDocument } from '#shared/receipt.ts'
import { createHubNode, peerIdOf } from '#p2p/node.ts'
import { presenceTopic, subscribePresence } from '#p2p/presence.ts'
import { durableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { KernelRegisters } from './ban-list.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { createAnchor } from './anchor.ts'
import { createAttestations, type Attestations } from './attestations.ts'
import { Directory } from './directory.ts'
import { Dispatcher } from './dispatcher.ts'
import { loadIdentity } from './identity.ts'
import { createKnownEchoes } from './known-echoes.ts'
import { createKernelBans } from './kernel-bans.ts'
import { createMesh, peerFetch, type PeerHub } from './mesh.ts'
import { createNeighbours } from './neighbours.ts'
import { newsOf, takeNotice } from './news.ts'
import { createNodeGate, type NodeGate } from './node-gate.ts'
import type { SqlStorage } from '../storage.ts'
import { Outbox, type OutboxEntry } from './outbox.ts'
import type { HubStatus, NodeStanding } from './protocol.ts'
import { createSessionGate, type SessionGate, type SessionTenant } from './session/session-gate.ts'

export interface HubCoreDeps {
  readonly name: string
  readonly storage: SqlStorage
  readonly domain: Domain
  readonly manifests: readonly ModelManifest[]
  /** Where kernels that hang devices are told of, and banned. */
  readonly registers: KernelRegisters
  /** Hands receipts to their tenants and the ledger; resolves with the ids that both have. */
  readonly deliver: (entries: readonly OutboxEntry[]) => Promise<readonly Bytes32[]>
  /** A tenant as it is now, for sessions that outlive what the Worker knew. */
  readonly openTenant: (tenant: TenantId) => SessionTenant
  /** Asks to be called back at {@link HubCore.flush}. */
  readonly wake: (delayMs: number) => void
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
  /** Where this hub stands; null for one that is no anchor. */
  readonly anchor: AnchorPlace | null
  /** By how much a time that the runtime's clock tells may be too early. */
  readonly clockResolutionMs: number
  /** The other hubs of this deployment. */
  readonly peers: readonly PeerHub[]
}

export interface HubCore {
  readonly gate: NodeGate
  readonly dispatcher: Dispatcher
  readonly sessions: SessionGate
  readonly attestations: Attestations
  /** Takes the socket of another hub. */
  enterPeer(socket: SocketLike): Promise<void>
  /** A statement about one of the nodes came or went. */
  reviewAttestation(nodeId: string): void
  status(): HubStatus
  standings(): NodeStanding[]
  receipt(tenant: string, id: string): ReceiptDocument | null
  /** Delivers what is in the outbox; asks to be woken again when something is left. */
  flush(): Promise<void>
}

const RETRY_MS = 2_000
/** Receipts of this long go to tenant and ledger together: out of the way of the answers, at one write for all. */
const GATHER_MS = 250

export async function createHubCore(deps: HubCoreDeps): Promise<HubCore> {
  const { name, storage, domain, log } = deps
  const outbox = new Outbox(storage)
  const { privateKey, signer } = await loadIdentity(storage)
  const peerId = NodeId.parse(peerIdOf(privateKey))
  const transport = durableObjectTransport({ fetch: peerFetch(deps.peers) })
  const libp2p = await createHubNode({ privateKey, transports: [transport], log })
  let isWakeSet = false
  if (!outbox.isEmpty()) deps.wake(RETRY_MS)
  const neighbours = createNeighbours(deps.now)
  const echoes = createKnownEchoes()
  const attestations = createAttestations(storage, deps.now)
  const directory = new Directory(deps.now, (member, isHere) =>
    mesh.publish(isHere ? newsOf(member) : { kind: 'left', nodeId: member.presence.nodeId }),
  )
  const mesh = createMesh({
    ...deps,
    hub: name,
    libp2p,
    transport,
    signer,
    onNotice: (notice) => void takeNotice(notice, { neighbours, directory, echoes, log }),
    onPeer() {
      for (const member of directory.members()) mesh.publish(newsOf(member))
    },
  })
  const dispatcher = new Dispatcher({
    ...deps,
    hub: name,
    signer,
    directory,
    neighbours,
    outbox,
    bans: createKernelBans(deps),
    randomBytes,
    onReceipt() {
      if (isWakeSet) return
      isWakeSet = true
      deps.wake(GATHER_MS)
    },
  })
  const gate = createNodeGate({
    libp2p,
    transport,
    directory,
    greeting: { hub: name, hubKey: signer.publicKey, domain },
    onReceipt: (stored) => dispatcher.redeliver(stored),
    onChange: () => dispatcher.capacity.notify(),
    evidence: {
      anchor:
        deps.anchor === null
          ? null
          : createAnchor({ ...deps, place: deps.anchor, hub: name, peerId, signer }),
      attestations,
      echoes,
      onMeasured: (echo) => mesh.publish({ kind: 'echo', echo }),
      now: deps.now,
    },
    isPeer: (connection) => mesh.isPeer(connection),
    log,
  })
  subscribePresence(libp2p, presenceTopic(name), (record, signed) =>
    directory.refresh(record, signed),
  )
  const sessions = createSessionGate({
    dispatch: (request, payload, signal) => dispatcher.dispatch(request, payload, signal),
    openTenant: deps.openTenant,
    nowMs: deps.now,
    randomBytes,
    log,
  })
  return {
    gate,
    dispatcher,
    sessions,
    attestations,
    enterPeer: (socket) => mesh.enter(socket),
    reviewAttestation: (nodeId) =>
      directory.get(nodeId)?.evidence.attest?.(attestations.of(nodeId)),
    standings: () => directory.standings(),
    status: () => ({ hub: name, peerId, hubKey: signer.publicKey, nodes: directory.describe() }),
    receipt(tenant, id) {
      const entry = outbox.get(tenant, id)
      if (entry === undefined) return null
      return {
        receipt: entry.receipt,
        salt: entry.salt,
        status: 'pending',
        refusal: null,
        settlement: null,
      }
    },
    async flush() {
      isWakeSet = false
      const entries = outbox.next()
      if (entries.length === 0) return
      try {
        outbox.delivered(await deps.deliver(entries))
      } catch (error) {
        log.warn('outbox.delivery-failed', { cause: String(error), waiting: entries.length })
      }
      if (!outbox.isEmpty()) deps.wake(RETRY_MS)
    },
  }
}
