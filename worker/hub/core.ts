/** A hub without its runtime: identity, libp2p, members, dispatch and outbox, put together over what it is given. */
import type { Domain } from '#shared/base/eip712.ts'
import type { AnchorPlace, SignedAttestation } from '#shared/place/evidence.ts'
import {
  randomBytes,
  type NodeId,
  type Bytes32,
  type JobId,
  type TenantId,
} from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import type { KernelRegisters } from '#worker/hub/bans/ban-list.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { createAnchor, type Anchor } from '#worker/hub/place/anchor.ts'
import { openSchema } from '#worker/platform/schema.ts'
import { HUB_SCHEMA } from './schema.ts'
import { createAttestations } from '#worker/hub/place/attestations.ts'
import { createDelivery } from '#worker/hub/receipts/delivery.ts'
import { Dispatcher } from '#worker/hub/attempts/dispatcher.ts'
import { createHubNetwork, type HubNetwork } from '#worker/hub/mesh/hub-network.ts'
import { createKernelBans } from '#worker/hub/bans/kernel-bans.ts'
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import type { PeerHub } from '#worker/hub/mesh/mesh.ts'
import { createNodeGate, type NodeGate } from '#worker/hub/entrance/node-gate.ts'
import type { PublicKey } from '#shared/base/signature.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { Outbox, type OutboxEntry } from '#worker/hub/receipts/outbox.ts'
import type { HubGauges, HubStatus, NodeStanding } from '#worker/protocols/hub.ts'
import { createVouchers } from '#worker/hub/entrance/vouchers.ts'
import { createSessionGate, type SessionGate, type SessionTenant } from './session/session-gate.ts'

export interface HubCoreDeps {
  readonly name: string
  readonly storage: DurableStorage
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
  /** @default LIMITS.echoEveryMs */
  readonly echoEveryMs?: number
  /** @default half of LIMITS.authCacheMs */
  readonly voucherEveryMs?: number
}

export interface HubCore {
  readonly gate: NodeGate
  readonly dispatcher: Dispatcher
  readonly sessions: SessionGate
  /** A node that is here is concluded of anew, and told. */
  attest(attestation: SignedAttestation): void
  /** @returns whether there was a statement about this node */
  unattest(nodeId: string): boolean
  attestations(): SignedAttestation[]
  /** What is held about the place of a connected node. */
  evidence(nodeId: string): MemberEvidence | undefined
  /** For another hub, or the Worker: who it is on the network, and its key. */
  identify(by: string | null): { readonly peerId: NodeId; readonly hubKey: PublicKey }
  /** Takes the socket of another hub. */
  enterPeer(socket: SocketLike): Promise<void>
  status(): HubStatus
  gauges(): HubGauges
  standings(): NodeStanding[]
  receipt(tenant: string, id: string): ReceiptDocument | null
  /** Hands the receipts of a job over without waiting for the next time. @returns whether one is still here */
  handOver(tenant: TenantId, jobId: JobId): Promise<boolean>
  /** Delivers what is in the outbox; asks to be woken again when something is left. */
  flush(): Promise<void>
  /** For a hub that is a plain process; a Durable Object just ends. */
  close(): Promise<void>
}

export async function createHubCore(deps: HubCoreDeps): Promise<HubCore> {
  const { name, storage, domain, log } = deps
  storage.transactionSync(() => openSchema(storage, HUB_SCHEMA))
  const outbox = new Outbox(storage)
  const delivery = createDelivery(outbox, deps)
  const network = await createHubNetwork(deps)
  const { libp2p, signer, peerId, directory, mesh } = network
  const attestations = createAttestations(storage, deps.now)
  const dispatcher = new Dispatcher({
    ...deps,
    ...network,
    hub: name,
    outbox,
    bans: createKernelBans(deps),
    randomBytes,
    onReceipt: () => delivery.onReceipt(),
  })
  const gate = createNodeGate({
    ...network,
    greeting: { hub: name, hubKey: signer.publicKey, domain },
    onReceipt: (stored) => dispatcher.redeliver(stored),
    onChange: () => dispatcher.capacity.notify(),
    evidence: {
      anchor: anchorOf(deps, network),
      attestations,
      echoes: network.echoes,
      onMeasured: (echo) => mesh.publish({ kind: 'echo', echo }),
      now: deps.now,
    },
    vouchers: createVouchers({ ...deps, remove: (member) => directory.remove(member) }),
    isPeer: (connection) => mesh.isPeer(connection),
    log,
  })
  const sessions = createSessionGate({
    dispatch: (request, payload, signal) => dispatcher.dispatch(request, payload, signal),
    openTenant: deps.openTenant,
    nowMs: deps.now,
    randomBytes,
    log,
  })
  const review = (nodeId: string) =>
    directory.get(nodeId)?.evidence.attest?.(attestations.of(nodeId))
  return {
    gate,
    dispatcher,
    sessions,
    attest(attestation) {
      attestations.put(attestation)
      review(attestation.statement.nodeId)
    },
    unattest(nodeId) {
      const had = attestations.remove(nodeId)
      review(nodeId)
      return had
    },
    attestations: () => attestations.list(),
    evidence: (nodeId) => directory.get(nodeId)?.evidence,
    identify(by) {
      if (by !== null) mesh.onPeerUp(by)
      return { peerId, hubKey: signer.publicKey }
    },
    enterPeer: (socket) => mesh.enter(socket),
    standings: () => directory.standings(),
    status: () => ({ hub: name, peerId, hubKey: signer.publicKey, nodes: directory.describe() }),
    gauges: () => ({ ...dispatcher.gauges(), outboxReceipts: outbox.size() }),
    receipt: (tenant, id) => outbox.document(tenant, id),
    handOver: (tenant, jobId) => delivery.handOver(tenant, jobId),
    async close() {
      mesh.stop()
      await libp2p.stop()
    },
    flush: () => delivery.flush(),
  }
}

/** A hub that does not say where it stands measures nobody. */
function anchorOf(deps: HubCoreDeps, { peerId, signer }: HubNetwork): Anchor | null {
  if (deps.anchor === null) return null
  return createAnchor({ ...deps, place: deps.anchor, hub: deps.name, peerId, signer })
}
