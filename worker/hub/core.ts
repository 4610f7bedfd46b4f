/** Composes a hub from its parts. Holds no platform object, so plain Node tests can drive it. */
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { createTimerWheel } from '#p2p/stream/timer-wheel.ts'
import type { Domain } from '#shared/proof/domain.ts'
import type { AnchorPlace, SignedAttestation, SignedEcho } from '#shared/place/evidence.ts'
import { randomBytes, type NodeId, type TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { KernelRegisters } from '#worker/hub/bans/ban-list.ts'
import { createAnchor } from '#worker/hub/place/anchor.ts'
import { openSchema } from '#worker/platform/schema.ts'
import { HUB_SCHEMA } from './schema.ts'
import { createAttestations, type Attestations } from '#worker/hub/place/attestations.ts'
import type { Receivers } from '#worker/hub/receipts/deliver-page.ts'
import { createDelivery, type Delivery } from '#worker/hub/receipts/delivery.ts'
import { Dispatcher } from '#worker/hub/attempts/dispatcher.ts'
import { createHubNetwork, type HubNetwork } from '#worker/hub/network/hub-network.ts'
import { createKernelBans } from '#worker/hub/bans/kernel-bans.ts'
import { ownSummary } from '#worker/hub/network/own-summary.ts'
import { takeEcho } from '#worker/hub/place/take-echo.ts'
import { createPublisher, type Publisher } from '#worker/hub/network/publisher.ts'
import type { MarksTold, RegionNews } from '#worker/summary/registry.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import { createNodeGate, type NodeGate } from '#worker/hub/entrance/node-gate.ts'
import type { PublicKey, Signer } from '#shared/proof/signature.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { Outbox } from '#worker/hub/receipts/outbox.ts'
import { createReceiptSigning } from '#worker/hub/receipts/signing.ts'
import type { HubGauges, HubStatus } from '#worker/protocols/hub.ts'
import { moveNodes } from '#worker/hub/entrance/move-nodes.ts'
import { createVouchers } from '#worker/hub/entrance/vouchers.ts'
import { createSessionGate, type SessionGate, type SessionTenant } from './session/session-gate.ts'

export interface HubCoreDeps {
  readonly name: string
  readonly storage: DurableStorage
  readonly domain: Domain
  readonly manifests: readonly ModelManifest[]
  /** Registers that count reports of hanging kernels and ban them. */
  readonly registers: KernelRegisters
  readonly receivers: Receivers
  /** Reads a tenant's current state, which may change while a session is open. */
  readonly openTenant: (tenant: TenantId) => SessionTenant
  /** Schedules a later call of {@link Delivery.flush}. */
  readonly wake: (delayMs: number) => void
  readonly now: () => number
  readonly random: () => number
  readonly log: Log
  /** This hub's location; null for a hub that is no anchor. */
  readonly anchor: AnchorPlace | null
  /** Largest lag of the runtime's clock behind real time, in ms. */
  readonly clockResolutionMs: number
  /** Hands a measurement to the hub of the measured node. @default it is dropped */
  readonly sendEcho?: (hub: string, echo: SignedEcho) => Promise<void>
  readonly jurisdiction: Jurisdiction
  /** Most nodes. @default LIMITS.hubNodes */
  readonly seats?: number | undefined
  /** The hub takes no nodes and sends its own away. @default false */
  readonly isDraining?: boolean | undefined
  /** Hands the hub's summary to the registry, and what it knows against nodes. */
  readonly publish: (summary: Uint8Array, told: MarksTold) => Promise<RegionNews>
  /** The hub drains, and has neither nodes nor receipts any more. */
  readonly onDrained?: (() => Promise<void>) | undefined
  /** Of publications. @default systemClock */
  readonly clock?: Clock | undefined
  /** @default LIMITS.echoEveryMs */
  readonly echoEveryMs?: number | undefined
  /** @default half of AUTH_CACHE_MS */
  readonly voucherEveryMs?: number | undefined
}

export interface HubCore extends Pick<HubNetwork, 'directory'> {
  readonly gate: NodeGate
  readonly dispatcher: Dispatcher
  readonly sessions: SessionGate
  readonly outbox: Outbox
  readonly delivery: Delivery
  /** Keeps an attestation, and concludes the node's place anew if it is connected. */
  attest(attestation: SignedAttestation): void
  /** @returns whether there was an attestation for this node */
  unattest(nodeId: string): boolean
  attestations(): SignedAttestation[]
  identify(): { readonly peerId: NodeId; readonly hubKey: PublicKey }
  status(): HubStatus
  gauges(): HubGauges
  /** Takes what an anchor of this deployment has measured. The platform vouches for the anchor's name. */
  echoed(anchor: string, echo: SignedEcho): Promise<void>
  /** For a hub that runs as a plain process. A Durable Object has no shutdown. */
  close(): Promise<void>
}

export async function createHubCore(deps: HubCoreDeps): Promise<HubCore> {
  const { name, storage, domain, openTenant, now, log } = deps
  storage.transactionSync(() => openSchema(storage, HUB_SCHEMA))
  let summaries: Summaries | undefined
  const network = await createHubNetwork({
    name,
    storage,
    jurisdiction: deps.jurisdiction,
    now,
    log,
    onMember: () => summaries?.changed(),
  })
  const { libp2p, signer, peerId, directory } = network
  const attestations = createAttestations(storage, now)
  const clock = createTimerWheel(systemClock)
  const { outbox, signing, delivery } = openReceipts(deps, signer)
  const dispatcher = new Dispatcher({
    hub: name,
    domain,
    directory,
    signing,
    bans: createKernelBans({ registers: deps.registers, now, log }),
    manifests: deps.manifests,
    now,
    random: deps.random,
    randomBytes,
    log,
    clock,
  })
  const gauges = () => ({ ...dispatcher.gauges(), outboxReceipts: outbox.size() })
  summaries = createSummaries(deps, network, gauges)
  const { hasSeatsElsewhere } = summaries
  const gate = createGate(deps, network, { attestations, dispatcher, clock, hasSeatsElsewhere })
  const sessions = createSessionGate({
    dispatch: (request, payload, signal) => dispatcher.dispatch(request, payload, signal),
    openTenant,
    nowMs: now,
    clock,
    randomBytes,
    log,
  })
  const review = (nodeId: string) =>
    directory.get(nodeId)?.evidence.attest?.(attestations.of(nodeId))
  const { publicKey: hubKey } = signer
  return {
    gate,
    dispatcher,
    sessions,
    directory,
    outbox,
    delivery,
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
    identify: () => ({ peerId, hubKey }),
    status: () => ({ hub: name, peerId, hubKey, nodes: directory.describe() }),
    gauges,
    echoed: (anchor, echo) => takeEcho(anchor, echo, { ...network, log }),
    async close() {
      delivery.stop()
      summaries?.stop()
      await libp2p.stop()
    },
  }
}

/** Receipts on their way: signed, kept, delivered. */
function openReceipts({ storage, domain, receivers, wake, log }: HubCoreDeps, signer: Signer) {
  const outbox = new Outbox(storage, log)
  const signing = createReceiptSigning({
    signer,
    domain,
    outbox,
    onReceipts: () => delivery.onReceipts(),
  })
  const running = () => signing.running()
  const delivery = createDelivery(outbox, { receivers, running, wake, log })
  return { outbox, signing, delivery }
}

interface Summaries extends Publisher {
  readonly hasSeatsElsewhere: () => boolean
}

/** Publishes the hub's summary, and moves nodes by what it learns of its region. */
function createSummaries(
  deps: HubCoreDeps,
  { directory, peerId, signer }: HubNetwork,
  gauges: () => HubGauges,
): Summaries {
  const { name: hub, jurisdiction, seats = LIMITS.hubNodes, isDraining = false, now } = deps
  const { publish, random, clock = systemClock, log } = deps
  const own = { hub, jurisdiction, peerId, hubKey: signer.publicKey, seats, isDraining }
  const jobs = () => {
    const { activeJobs: active, waitingJobs: waiting } = gauges()
    return { active, waiting }
  }
  const isEmpty = () => {
    const { activeJobs, outboxReceipts } = gauges()
    return directory.size === 0 && activeJobs === 0 && outboxReceipts === 0
  }
  let region: RegionNews | undefined
  const publisher = createPublisher({
    summarise: () => ownSummary({ ...own, directory, jobs, now }),
    async publish(summary) {
      const marks = directory.marks.take()
      try {
        return await publish(summary, { marks, since: region?.marksRead ?? null })
      } catch (error) {
        directory.marks.giveBack(marks)
        throw error
      }
    },
    onNews(news) {
      region = news
      directory.heed(news.marks)
      moveNodes({ directory, isDraining, now, log }, news)
      if (isDraining && isEmpty())
        deps.onDrained?.().then(
          () => publisher.stop(),
          (error: unknown) => log.warn('hub.not-left', { cause: String(error) }),
        )
    },
    clock,
    random,
    log,
  })
  return { ...publisher, hasSeatsElsewhere: () => region?.hasSeats ?? false }
}

interface GateParts {
  readonly attestations: Attestations
  readonly dispatcher: Dispatcher
  readonly clock: Clock
  readonly hasSeatsElsewhere: () => boolean
}

function createGate(
  deps: HubCoreDeps,
  { libp2p, transport, signer, peerId, directory, echoes }: HubNetwork,
  { attestations, dispatcher, clock, hasSeatsElsewhere }: GateParts,
): NodeGate {
  const { name: hub, anchor: place, clockResolutionMs, echoEveryMs, now, log } = deps
  const { openTenant, voucherEveryMs, seats = LIMITS.hubNodes, isDraining = false } = deps
  return createNodeGate({
    libp2p,
    transport,
    directory,
    clock,
    greeting: { hub, hubKey: signer.publicKey, domain: deps.domain },
    onReceipt: (kept) => dispatcher.redeliver(kept),
    onChange: () => dispatcher.capacity.notifyAll(),
    evidence: {
      anchor:
        place &&
        createAnchor({ hub, peerId, place, signer, clockResolutionMs, echoEveryMs, now, log }),
      attestations,
      echoes,
      onMeasured(echo, to) {
        if (to === undefined) return
        deps
          .sendEcho?.(to, echo)
          .catch((error: unknown) => log.warn('echo.unsent', { to, cause: String(error) }))
      },
      now,
    },
    vouchers: createVouchers({
      openTenant,
      remove: (member) => directory.remove(member),
      log,
      voucherEveryMs,
    }),
    seats: { seats, isDraining, hasSeatsElsewhere },
    log,
  })
}
