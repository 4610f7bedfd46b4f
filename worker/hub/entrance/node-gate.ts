/** Turns a node's socket into a member of the hub: handshake, work stream, welcome, departure. */
import type { Connection, Libp2p } from '@libp2p/interface'
import type { DurableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import type { Hello, StoredReceipt, Welcome } from '#p2p/stream/messages.ts'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { systemClock } from '#p2p/stream/clock.ts'
import { createBudget, withinBudget, type Budget } from '#p2p/stream/peer-budget.ts'
import { meterSocket } from '#p2p/transports/metered-socket.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import type { SignedEcho } from '#shared/place/evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import type { Anchor } from '#worker/hub/place/anchor.ts'
import type { Attestations } from '#worker/hub/place/attestations.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import { createEntrance } from './entrance.ts'
import type { KnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { createEvidenceKeeper, type EvidenceKeeper } from '#worker/hub/place/member-evidence.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { createSeating, type Seating } from './seating.ts'
import type { Vouchers } from './vouchers.ts'

export interface NodeGateDeps {
  readonly libp2p: Libp2p
  readonly transport: DurableObjectTransport
  readonly directory: Directory
  /** The hub's part of the welcome. */
  readonly greeting: Pick<Welcome, 'hub' | 'hubKey' | 'domain'>
  readonly onReceipt: (stored: StoredReceipt) => Promise<void>
  /** A node came or left. */
  readonly onChange: () => void
  readonly evidence: EvidenceDeps
  readonly vouchers: Vouchers
  /** Whether a connection is from another hub, not from a node. */
  readonly isPeer?: (connection: Connection) => boolean
  readonly log: Log
}

/** What evidence of a node's place is made from. */
export interface EvidenceDeps {
  /** Null for a hub without a declared place: it measures nobody. */
  readonly anchor: Anchor | null
  readonly attestations: Pick<Attestations, 'of'>
  readonly echoes: KnownEchoes
  /** A node of another hub was measured here. */
  readonly onMeasured: (echo: SignedEcho) => void
  readonly now: () => number
}

export interface NodeGate {
  /** Takes an accepted server-side socket that the Worker vouched for. */
  enter(socket: SocketLike, admission: Admission): Promise<void>
}

/** Bytes that a peer may send besides its work, at once and per second: handshakes, gossip, presence. */
const PEER_BYTES = 512 * 1024
const PEER_BYTES_PER_SECOND = 32 * 1024
/** Log lines that one connection may cause, at once and per second. */
const PEER_LINES = 16
const PEER_LINES_PER_SECOND = 0.1

/** Longest part of a fault that is logged: a peer may have written it. */
const DETAIL_CHARS = 256

/** Limits of one connection. */
interface Allowance {
  readonly bytes: Budget
  readonly log: Log
}

function createAllowance(log: Log): Allowance {
  const clock = systemClock
  const lines = createBudget({ most: PEER_LINES, perSecond: PEER_LINES_PER_SECOND, clock })
  return {
    bytes: createBudget({ most: PEER_BYTES, perSecond: PEER_BYTES_PER_SECOND, clock }),
    log: withinBudget(log, lines),
  }
}

export function createNodeGate(deps: NodeGateDeps): NodeGate {
  const entrance = createEntrance(deps.evidence.now)
  const seating = createSeating({ ...deps, now: deps.evidence.now })
  deps.libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    if (entrance.opened(connection)) return
    if (deps.isPeer?.(connection) !== true) void connection.close()
  })
  return {
    async enter(socket, admission) {
      const { nodeId } = admission
      const { bytes, log } = createAllowance(deps.log)
      const metered = meterSocket(socket, bytes, () => log.warn('node.flooded', { nodeId }))
      const entry = entrance.begin(admission, metered.cut)
      try {
        await deps.transport.accept(metered.socket, { address: entry.address })
        const own = { ...deps, seating, log, onWork: (cost: number) => bytes.earn(cost) }
        if (admission.purpose === 'measure')
          await measureGuest(own, await entry.connection, admission)
        else await welcomeMember(own, await entry.connection, admission)
      } finally {
        entry.leave()
      }
    },
  }
}

/** Dependencies of the gate for one connection. */
interface OwnDeps extends NodeGateDeps {
  readonly seating: Seating
  readonly onWork: (costBytes: number) => void
}

async function welcomeMember(
  deps: OwnDeps,
  connection: Connection,
  admission: Admission,
): Promise<void> {
  const { nodeId, networks } = admission
  try {
    checkIdentity(connection, admission)
    const stream = await connection.newStream(WORK_PROTOCOL, {
      signal: AbortSignal.timeout(LIMITS.openTimeoutMs),
    })
    let member: Member | undefined
    const evidence = keepEvidence(deps, admission, () => {
      if (member !== undefined) onEvidence(deps, member, evidence)
    })
    let presence: PresenceRecord | undefined
    const link = await openWork(stream, {
      welcome: async (hello: Hello) => {
        presence = await readOwnPresence(hello.presence, nodeId)
        const barredMs = deps.directory.barredMs(nodeId)
        if (barredMs > 0) {
          const retryAfterSeconds = Math.ceil(barredMs / 1000)
          throw new AppError(
            'no_capacity',
            `This node was silent on jobs that it had taken; it may come back in ${retryAfterSeconds} s.`,
            { meta: { retryAfterSeconds } },
          )
        }
        if (presence.claim !== admission.claim) {
          throw new AppError(
            'forbidden',
            `The presence record claims ${presence.claim}, the admission ${admission.claim}.`,
          )
        }
        // Checked last: both may have changed since the node asked for admission.
        await deps.vouchers.check(admission)
        deps.seating.check(admission)
        const [place, quarantine] = [evidence.place(), evidence.quarantine()]
        return { ...deps.greeting, version: 1, place, networks, quarantine }
      },
      onReceipt: deps.onReceipt,
      onWork: deps.onWork,
      onPresence: async (signed) => {
        deps.directory.refresh(await readOwnPresence(signed, nodeId), signed)
        deps.onChange()
      },
      log: deps.log,
    })
    if (presence === undefined)
      throw new AppError('internal', 'The node was welcomed without a presence record.')
    member = {
      admission,
      evidence,
      link,
      presence,
      signedPresence: link.hello.presence,
      quarantine: evidence.quarantine(),
      jobsDone: 0,
      serviceMs: new Map(),
    }
    await seat(deps, member, { admission, connection })
    onEvidence(deps, member, evidence)
    deps.evidence.anchor?.attend(link, admission, (echo) => {
      deps.evidence.echoes.add(echo)
      evidence.addEcho(echo)
    })
  } catch (error) {
    const code = errorCode(error) ?? 'internal'
    deps.log.warn('node.refused', { nodeId, code, detail: String(error).slice(0, DETAIL_CHARS) })
    await connection.close().catch(() => connection.abort(new Error('refused')))
  }
}

/** Replaces the old member before closing it, so that of two connections at once none stays open and uncounted. */
async function seat(
  deps: OwnDeps,
  member: Member,
  { admission, connection }: { readonly admission: Admission; readonly connection: Connection },
): Promise<void> {
  const { nodeId } = admission
  const before = deps.directory.get(nodeId)
  deps.seating.take(member, admission)
  deps.vouchers.attend(member)
  void member.link.closed.then(() => {
    deps.directory.remove(member)
    deps.log.info('node.left', { nodeId })
    deps.onChange()
    return connection.close()
  })
  await before?.link.close()
  const { claim: country } = member.admission
  deps.log.info('node.joined', { nodeId, country, evidence: member.evidence.place().evidence })
  deps.onChange()
}

function keepEvidence(
  { greeting, evidence }: NodeGateDeps,
  admission: Admission,
  onChange: () => void,
): EvidenceKeeper {
  const { nodeId, claim, trust, voucher, observation } = admission
  return createEvidenceKeeper({
    nodeId,
    claim,
    trust,
    voucher: voucher?.tenant ?? null,
    observation,
    hub: greeting.hub,
    echoes: evidence.echoes.of(nodeId),
    attestation: evidence.attestations.of(nodeId),
    now: evidence.now,
    onChange,
  })
}

/** Tells the node its conclusion before any ticket names it. */
function onEvidence(deps: NodeGateDeps, member: Member, evidence: EvidenceKeeper): void {
  const refutation = evidence.quarantine()
  if (refutation !== null && refutation !== member.quarantine) {
    const { nodeId } = member.admission
    deps.log.warn('node.quarantined', { nodeId, reason: refutation })
  }
  deps.directory.judge(member, refutation)
  const { reasons } = evidence.record()
  member.link.tell({
    place: evidence.place(),
    quarantine: member.quarantine,
    reasons: [...reasons],
  })
  deps.onChange()
}

/** Measures a node of another hub once, and closes its connection. */
async function measureGuest(
  { evidence, vouchers, log }: NodeGateDeps,
  connection: Connection,
  admission: Admission,
): Promise<void> {
  const { nodeId } = admission
  try {
    checkIdentity(connection, admission)
    await vouchers.check(admission)
    if (evidence.anchor === null)
      throw new AppError(
        'forbidden',
        'This hub does not say where it stands, so it measures nobody.',
      )
    evidence.onMeasured(await evidence.anchor.measure(connection, admission))
    await connection.close()
  } catch (error) {
    log.warn('guest.refused', { nodeId, code: errorCode(error) ?? 'internal' })
    await connection.close().catch(() => connection.abort(new Error('refused')))
  }
}

function checkIdentity(connection: Connection, { nodeId }: Admission): void {
  const peer = connection.remotePeer.toString()
  if (peer === nodeId) return
  throw new AppError(
    'forbidden',
    `The admission is for node ${nodeId}, the connection is ${peer}'s.`,
  )
}

async function readOwnPresence(signed: SignedPresence, nodeId: string): Promise<PresenceRecord> {
  const record = await verifyPresence(signed)
  if (record.nodeId === nodeId) return record
  throw new AppError('forbidden', 'The presence record is of another node.')
}
