/** Composes a hub from its parts. Holds no platform object, so plain Node tests can drive it. */
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
  /** Registers that count reports of hanging kernels and ban them. */
  readonly registers: KernelRegisters
  /** Hands receipts to their tenants and the ledger. @returns the ids that both now have */
  readonly deliver: (entries: readonly OutboxEntry[]) => Promise<readonly Bytes32[]>
  /** Reads a tenant's current state. Sessions outlive what the Worker knew when they opened. */
  readonly openTenant: (tenant: TenantId) => SessionTenant
  /** Schedules a later call of {@link HubCore.flush}. */
  readonly wake: (delayMs: number) => void
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
  /** Where this hub stands; null for a hub that is no anchor. */
  readonly anchor: AnchorPlace | null
  /** How far the runtime's clock may lag behind real time, in ms. */
  readonly clockResolutionMs: number
  readonly peers: readonly PeerHub[]
  /** @default LIMITS.echoEveryMs */
  readonly echoEveryMs?: number | undefined
  /** @default half of LIMITS.authCacheMs */
  readonly voucherEveryMs?: number | undefined
}

export interface HubCore {
  readonly gate: NodeGate
  readonly dispatcher: Dispatcher
  readonly sessions: SessionGate
  /** Keeps an attestation, and concludes the node's place anew if it is connected. */
  attest(attestation: SignedAttestation): void
  /** @returns whether there was an attestation for this node */
  unattest(nodeId: string): boolean
  attestations(): SignedAttestation[]
  /** What the hub knows about the place of a connected node. */
  evidence(nodeId: string): MemberEvidence | undefined
  /** Tells another hub, or the Worker, this hub's peer id and signing key. */
  identify(by: string | null): { readonly peerId: NodeId; readonly hubKey: PublicKey }
  /** Accepts the socket of another hub. */
  enterPeer(socket: SocketLike): Promise<void>
  status(): HubStatus
  gauges(): HubGauges
  standings(): NodeStanding[]
  receipt(tenant: string, id: string): ReceiptDocument | null
  /** Delivers the receipts of a job now. @returns whether any of them is still here */
  handOver(tenant: TenantId, jobId: JobId): Promise<boolean>
  /** Delivers the outbox, and schedules another call if anything is left. */
  flush(): Promise<void>
  /** For a hub that runs as a plain process. A Durable Object has no shutdown. */
  close(): Promise<void>
}

export async function createHubCore(deps: HubCoreDeps): Promise<HubCore> {
  const { name, storage, domain, registers, openTenant, now, log } = deps
  storage.transactionSync(() => openSchema(storage, HUB_SCHEMA))
  const outbox = new Outbox(storage)
  const delivery = createDelivery(outbox, { deliver: deps.deliver, wake: deps.wake, log })
  const network = await createHubNetwork({ name, storage, peers: deps.peers, now, log })
  const { libp2p, transport, signer, peerId, directory, neighbours, echoes, mesh } = network
  const attestations = createAttestations(storage, now)
  const dispatcher = new Dispatcher({
    hub: name,
    signer,
    domain,
    directory,
    outbox,
    bans: createKernelBans({ registers, now, log }),
    manifests: deps.manifests,
    neighbours,
    now,
    random: deps.random,
    randomBytes,
    log,
    onReceipt: () => delivery.onReceipt(),
  })
  const gate = createNodeGate({
    libp2p,
    transport,
    directory,
    greeting: { hub: name, hubKey: signer.publicKey, domain },
    onReceipt: (stored) => dispatcher.redeliver(stored),
    onChange: () => dispatcher.capacity.notify(),
    evidence: {
      anchor: anchorOf(deps, network),
      attestations,
      echoes,
      onMeasured: (echo) => mesh.publish({ kind: 'echo', echo }),
      now,
    },
    vouchers: createVouchers({
      openTenant,
      remove: (member) => directory.remove(member),
      log,
      voucherEveryMs: deps.voucherEveryMs,
    }),
    isPeer: (connection) => mesh.isPeer(connection),
    log,
  })
  const sessions = createSessionGate({
    dispatch: (request, payload, signal) => dispatcher.dispatch(request, payload, signal),
    openTenant,
    nowMs: now,
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

function anchorOf(
  { name: hub, anchor: place, clockResolutionMs, echoEveryMs, now, log }: HubCoreDeps,
  { peerId, signer }: HubNetwork,
): Anchor | null {
  if (place === null) return null
  return createAnchor({ hub, peerId, place, signer, clockResolutionMs, echoEveryMs, now, log })
}
