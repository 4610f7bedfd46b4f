/**
 * Hubs as the Worker reaches them, with their real directory, dispatcher, tickets and outbox. Only the links to nodes are
 * simulated: they may fail, lie, leave and come back elsewhere at any moment.
 */
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { AppError, ERRORS, toAppError } from '#shared/base/errors.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { TenantId, ZERO_BYTES32, type NodeId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import type { Signer } from '#shared/proof/signature.ts'
import type { ObjectNamespace } from '#worker/platform/config.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import { Dispatcher } from '#worker/hub/attempts/dispatcher.ts'
import {
  KnownPolicies,
  POLICY_UNKNOWN,
  readDispatch,
  writeDispatch,
} from '#worker/protocols/envelope.ts'
import { createKernelBans } from '#worker/hub/bans/kernel-bans.ts'
import { createKernelRegister } from '#worker/kernels/register.ts'
import { packRefusal } from '#worker/protocols/steering.ts'
import { Outbox } from '#worker/hub/receipts/outbox.ts'
import { createReceiptSigning } from '#worker/hub/receipts/signing.ts'
import { writeStream } from '#worker/protocols/stream-envelope.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import type { Random } from '../random.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { factsOf, type DrawnNode } from './draw.ts'
import { presenceOf } from '../hub/presence.ts'

export const DOMAIN: Domain = { chainId: 31_337, verifyingContract: `0x${'22'.repeat(20)}` }

export interface SimulatedHub {
  readonly name: string
  readonly jurisdiction: Jurisdiction
  readonly directory: Directory
  readonly dispatcher: Dispatcher
  readonly outbox: Outbox
  readonly policies: KnownPolicies
  close(): void
}

export interface HubOptions {
  readonly name: string
  readonly jurisdiction: Jurisdiction
  readonly random: Random
  readonly signer: Signer
  /** Called between the choice of a node and its job. */
  readonly onSign: () => void
}

export function createSimulatedHub(options: HubOptions): SimulatedHub {
  const { name, jurisdiction, random, signer, onSign } = options
  const storage = createSqliteStorage({ schema: HUB_SCHEMA })
  const [directory, outbox] = [new Directory(), new Outbox(storage, silentLog)]
  const bansStorage = createSqliteStorage()
  const home = createKernelRegister({ storage: bansStorage, nowMs: Date.now, log: silentLog })
  const dispatcher = new Dispatcher({
    hub: name,
    domain: DOMAIN,
    directory,
    signing: createReceiptSigning({ signer, domain: DOMAIN, outbox, onReceipts: () => {} }),
    bans: createKernelBans({ registers: { home, others: [] }, now: Date.now, log: silentLog }),
    manifests: [],
    now: Date.now,
    random: () => random.below(1_000_000) / 1_000_000,
    randomBytes(sizeBytes) {
      onSign()
      return random.bytes(sizeBytes)
    },
    log: silentLog,
  })
  const policies = new KnownPolicies()
  const close = () => storage.close()
  return { name, jurisdiction, directory, dispatcher, outbox, policies, close }
}

/** The Worker's binding; each hub answers as `Hub.fetch` does. */
export function hubNamespace(
  hubs: readonly SimulatedHub[],
  asked: Jurisdiction = 'any',
): ObjectNamespace {
  return {
    jurisdiction: (jurisdiction) => hubNamespace(hubs, jurisdiction as Jurisdiction),
    getByName(name) {
      const hub = hubs.find((each) => each.name === name && each.jurisdiction === asked)
      if (hub === undefined) throw new Error(`no hub ${name} in ${asked}`)
      return { fetch: (request: Request) => answer(hub, request) }
    },
  }
}

async function answer({ dispatcher, policies }: SimulatedHub, request: Request): Promise<Response> {
  try {
    const read = await readDispatch(request, policies)
    if (read === null) return new Response(null, { status: POLICY_UNKNOWN })
    const { header, payload } = read
    if (!header.stream)
      return writeDispatch(await dispatcher.dispatch(header, payload, request.signal))
    return await writeStream((sink) =>
      dispatcher.stream(header, payload, { signal: request.signal, sink }),
    )
  } catch (error) {
    const { code } = toAppError(error)
    return Response.json(packRefusal(error), { status: ERRORS[code].status })
  }
}

export interface Joining {
  readonly hub: SimulatedHub
  readonly nodeId: NodeId
  readonly node: DrawnNode
  readonly signer: Signer
  readonly loadable: readonly `0x${string}`[]
  readonly link: Pick<WorkLink, 'run' | 'load'>
}

export interface Joined {
  readonly member: Member
  /** Concludes its evidence anew, as after a measurement or an expiry. */
  readonly concludeAnew: (seen: DrawnNode) => void
}

/** A node joins, perhaps again at another place; its earlier link ends first, as at the hub's gate. */
export function joinHub({ hub, nodeId, node, signer, loadable, link }: Joining): Joined {
  const before = hub.directory.get(nodeId)
  if (before !== undefined) void before.link.close()
  const ended = Promise.withResolvers<void>()
  let isOpen = true
  let inFlight = 0
  const lost = () => new AppError('node_lost', 'The link has ended.')
  const whileOpen = async <T>(use: () => Promise<T>): Promise<T> => {
    if (!isOpen) throw lost()
    inFlight += 1
    try {
      return await Promise.race([use(), ended.promise.then(() => Promise.reject(lost()))])
    } finally {
      inFlight -= 1
    }
  }
  let place = placeOf(node)
  const claim = node.country
  const member: Member = {
    admission: { nodeId, claim, networks: [...node.networks], voucher: null, reporter: nodeId },
    evidence: { place: () => place, record: () => null },
    link: {
      rttMs: () => 1,
      inFlight: () => inFlight,
      run: (offer, payload, options) =>
        whileOpen(() => link.run(offer, payload, options)).finally(options.onEnd),
      load: (request) => whileOpen(() => link.load(request)),
      acknowledge: () => {},
      closed: ended.promise,
      close() {
        isOpen = false
        ended.resolve()
        return Promise.resolve()
      },
    } as Partial<WorkLink> as WorkLink,
    presence: presenceOf({
      nodeId,
      receiptKey: signer.publicKey,
      claim,
      loadable: [...loadable],
      maxJobs: 2,
    }),
    signedPresence: { record: '', signature: '' },
    quarantine: node.quarantined ? 'drawn so' : null,
    jobsDone: 0,
    serviceMs: new Map(),
  }
  hub.directory.add(member)
  hub.dispatcher.capacity.notifyAll()
  void ended.promise.then(() => {
    hub.directory.remove(member)
    hub.dispatcher.capacity.notifyAll()
  })
  return { member, concludeAnew: (seen) => void (place = placeOf(seen)) }
}

function placeOf(node: DrawnNode): Place {
  const { networks: _, quarantined: __, ...place } = factsOf(node)
  const voucher = TenantId.nullable().parse(node.voucher)
  return { ...place, voucher, source: 'edge', evidenceHash: ZERO_BYTES32 }
}
