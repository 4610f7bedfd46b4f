/** The Hub as a Durable Object: a thin shell over `core.ts`. */
import { DurableObject } from 'cloudflare:workers'
import { AppError, ERRORS, toAppError } from '#shared/base/errors.ts'
import { domainOf } from '#shared/proof/domain.ts'
import type { Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { systemClock } from '#p2p/stream/clock.ts'
import { createBudget, withinBudget } from '#p2p/stream/peer-budget.ts'
import type { EvidenceRecord, SignedAttestation, SignedEcho } from '#shared/place/evidence.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import {
  homeOf,
  openHub,
  openKernels,
  openLedger,
  openRegistry,
  openTenant,
  type HubApi,
} from '#worker/protocols/durable-objects.ts'
import { readConfig } from '#worker/platform/config.ts'
import { DUPLICATE_JOB } from '#worker/protocols/ledger.ts'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { findHub, hubName } from '#worker/summary/hub-region.ts'
import { createHubCore, type HubCore } from './core.ts'
import {
  DISPATCH_URL,
  KnownPolicies,
  POLICY_UNKNOWN,
  readDispatch,
  writeDispatch,
} from '#worker/protocols/envelope.ts'
import type { KernelRegisters } from '#worker/hub/bans/ban-list.ts'
import { packRefusal } from '#worker/protocols/steering.ts'
import { writeStream } from '#worker/protocols/stream-envelope.ts'
import {
  Admission,
  ADMISSION_HEADER,
  SESSION_HEADER,
  SessionGrant,
  type HubGauges,
  type HubStatus,
  type NodeStanding,
} from '#worker/protocols/hub.ts'

export class Hub extends DurableObject<Env> implements HubApi {
  readonly #log = createLog({}, { hub: this.ctx.id.name })
  /** A rejected admission can be sent again without limit, so its log lines are limited. */
  readonly #refusals = withinBudget(
    this.#log,
    createBudget({ most: 60, perSecond: 1, clock: systemClock }),
  )
  readonly #policies = new KnownPolicies()
  readonly #core: Promise<HubCore> = this.ctx.blockConcurrencyWhile(() => this.#start())

  override async fetch(request: Request): Promise<Response> {
    const core = await this.#core
    // No address that a client can call has this path, and a header costs more to look for than the address.
    if (request.url === DISPATCH_URL) return this.#dispatch(core, request)
    const grant = request.headers.get(SESSION_HEADER)
    if (grant !== null) return this.#openSession(core, request, grant)
    return this.#enter(core, request)
  }

  async #dispatch({ dispatcher }: HubCore, request: Request): Promise<Response> {
    try {
      const read = await readDispatch(request, this.#policies)
      if (read === null) return new Response(null, { status: POLICY_UNKNOWN })
      const { header, payload } = read
      if (!header.stream)
        return writeDispatch(await dispatcher.dispatch(header, payload, request.signal))
      return await writeStream((sink) =>
        dispatcher.stream(header, payload, { signal: request.signal, sink }),
      )
    } catch (error) {
      return this.#refuse(error)
    }
  }

  async status(): Promise<HubStatus> {
    return (await this.#core).status()
  }

  async echoed(anchor: string, echo: SignedEcho): Promise<void> {
    await (await this.#core).echoed(anchor, echo)
  }

  async gauges(): Promise<HubGauges> {
    return (await this.#core).gauges()
  }

  async standings(): Promise<NodeStanding[]> {
    return (await this.#core).directory.standings()
  }

  async evidence(nodeId: NodeId): Promise<EvidenceRecord | null> {
    return (await this.#core).directory.get(nodeId)?.evidence.record() ?? null
  }

  async identify(): Promise<{ peerId: NodeId; hubKey: PublicKey }> {
    return (await this.#core).identify()
  }

  async attest(attestation: SignedAttestation): Promise<void> {
    ;(await this.#core).attest(attestation)
  }

  async unattest(nodeId: string): Promise<boolean> {
    return (await this.#core).unattest(nodeId)
  }

  async attestations(): Promise<SignedAttestation[]> {
    return (await this.#core).attestations()
  }

  async receipt(tenant: TenantId, id: Bytes32): Promise<ReceiptDocument | null> {
    return (await this.#core).outbox.document(tenant, id)
  }

  async handOver(tenant: TenantId, jobId: JobId): Promise<boolean> {
    return (await this.#core).delivery.handOver(tenant, jobId)
  }

  override async alarm(): Promise<void> {
    await (await this.#core).delivery.flush()
  }

  #openSession(core: HubCore, request: Request, grant: string): Response {
    const { 0: client, 1: server } = new WebSocketPair()
    try {
      core.sessions.enter(server, SessionGrant.parse(JSON.parse(grant)))
    } catch (error) {
      return this.#refuse(error)
    }
    server.accept()
    const protocol = request.headers.get('sec-websocket-protocol')
    const headers = protocol === null ? {} : { 'sec-websocket-protocol': protocol }
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  #enter(core: HubCore, request: Request): Response {
    const admission = Admission.parse(JSON.parse(request.headers.get(ADMISSION_HEADER) ?? 'null'))
    const { nodeId } = admission
    return acceptBytes(
      (socket) => core.gate.enter(socket, admission),
      (cause) => this.#refusals.warn('socket.refused', { nodeId, cause }),
    )
  }

  #refuse(error: unknown): Response {
    const appError = toAppError(error)
    if (appError.code === 'internal')
      this.#log.error('dispatch.failed', { cause: String(appError.cause) })
    return Response.json(packRefusal(error), { status: ERRORS[appError.code].status })
  }

  async #start(): Promise<HubCore> {
    const name = this.ctx.id.name
    if (name === undefined) throw new AppError('internal', 'A hub must be opened by its name.')
    const config = readConfig(this.env)
    const { regions, hubSeats } = config
    const found = findHub(regions, name)
    // What it holds goes to the ledger of its jurisdiction, which only its region tells.
    if (found === undefined)
      throw new AppError('internal', `HUB_REGIONS names no region of hub ${name}; add it with *0.`)
    const { jurisdiction } = found.region
    const registry = () => openRegistry(this.env, homeOf(jurisdiction, config), config)
    return createHubCore({
      name,
      seats: hubSeats,
      isDraining: found.isDraining,
      storage: this.ctx.storage,
      domain: domainOf(Number(this.env.CHAIN_ID), this.env.SETTLEMENT_ADDRESS),
      manifests: MANIFESTS,
      registers: this.#registers(jurisdiction),
      receivers: {
        record: (tenant, group) =>
          openTenant(this.env, tenant, readConfig(this.env)).receipts.record(group),
        accept: (group, later) => this.#accept(jurisdiction, group, later),
      },
      openTenant: (tenant) => openTenant(this.env, tenant, readConfig(this.env)),
      wake: (delayMs) => void this.ctx.storage.setAlarm(Date.now() + delayMs),
      now: Date.now,
      random: Math.random,
      log: this.#log,
      // Only the first hub of a region measures nodes: the others stand wherever the platform puts them.
      anchor: found.shard === 0 ? (found.region.anchor ?? null) : null,
      // Workers' clocks have whole milliseconds and stand still between I/O events.
      clockResolutionMs: 1,
      sendEcho: (hub, echo) => this.#sendEcho(name, { hub, echo }),
      jurisdiction,
      publish: (summary, told) => registry().publish(summary, told),
      onDrained: () => registry().leave(name),
    })
  }

  #registers(jurisdiction: Jurisdiction): KernelRegisters {
    const config = readConfig(this.env)
    const homes = new Set(config.regions.map((region) => homeOf(region.jurisdiction, config)))
    const own = homeOf(jurisdiction, config)
    homes.delete(own)
    const open = (home: Jurisdiction) => openKernels(this.env, home, config)
    return { home: open(own), others: [...homes].map(open) }
  }

  /** @throws {AppError} not_found for a hub that this deployment does not have */
  async #sendEcho(own: string, { hub, echo }: { readonly hub: string; readonly echo: SignedEcho }) {
    const config = readConfig(this.env)
    const found = findHub(config.regions, hub)
    if (found === undefined) throw new AppError('not_found', `There is no hub ${hub}.`)
    await openHub(this.env, hubName(found.region, found.shard), config).echoed(own, echo)
  }

  async #accept(
    jurisdiction: Jurisdiction,
    group: ReceiptGroup,
    later: readonly Bytes32[],
  ): Promise<readonly Bytes32[]> {
    const config = readConfig(this.env)
    const ledger = openLedger(this.env, homeOf(jurisdiction, config), config)
    const outcomes = await ledger.accept(group, later)
    for (const { id, status, refusal } of outcomes) {
      if (status === 'refused')
        this.#log[refusal === DUPLICATE_JOB ? 'info' : 'error']('receipt.refused', {
          receiptId: id,
          refusal: refusal ?? '',
        })
    }
    return outcomes.map(({ id }) => id)
  }
}

/** Accepts a WebSocket of bytes. It is closed when `enter` rejects. */
function acceptBytes(
  enter: (socket: WebSocket) => Promise<void>,
  onRefused: (cause: string) => void,
): Response {
  const { 0: client, 1: server } = new WebSocketPair()
  server.binaryType = 'arraybuffer'
  server.accept()
  enter(server).catch((error: unknown) => {
    onRefused(String(error))
    server.close(1013, 'refused')
  })
  return new Response(null, { status: 101, webSocket: client })
}
