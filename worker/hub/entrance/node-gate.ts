/** Turns a node's socket into a visitor with limits of its own: a member of the hub, or a guest to be measured. */
import type { Libp2p } from '@libp2p/interface'
import type { DurableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { createBudget, withinBudget } from '#p2p/stream/peer-budget.ts'
import { meterSocket } from '#p2p/transports/metered-socket.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { SignedEcho } from '#shared/place/evidence.ts'
import type { Log } from '#shared/base/log.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { createEntrance } from './entrance.ts'
import { createSeating, type SeatingDeps } from './seating.ts'
import {
  welcomeMember,
  type EvidenceDeps,
  type Visitor,
  type WelcomeDeps,
} from './welcome-member.ts'

export interface NodeGateDeps extends Omit<WelcomeDeps, 'seating' | 'evidence'> {
  readonly libp2p: Libp2p
  readonly transport: DurableObjectTransport
  readonly evidence: EvidenceDeps & {
    /** A node of another hub was measured here. `hub` is the one that it names as its own. */
    readonly onMeasured: (echo: SignedEcho, hub: string | undefined) => void
  }
  readonly log: Log
  /** @default a hub that never drains, with all seats, which knows no other */
  readonly seats?: Pick<SeatingDeps, 'isDraining' | 'seats' | 'hasSeatsElsewhere'>
}

export interface NodeGate {
  /** Takes an accepted server-side socket that the Worker vouched for. */
  enter(socket: SocketLike, admission: Admission): Promise<void>
}

const ALONE = { isDraining: false, seats: LIMITS.hubNodes, hasSeatsElsewhere: () => false }
/** Bytes that a peer may send besides its work, at once and per second: handshakes, gossip, presence. */
const PEER_BYTES = 512 * 1024
const PEER_BYTES_PER_SECOND = 32 * 1024
/** Log lines that one connection may cause, at once and per second. */
const PEER_LINES = 16
const PEER_LINES_PER_SECOND = 0.1
/** Longest part of a fault that is logged: a peer may have written it. */
const DETAIL_CHARS = 256

export function createNodeGate(deps: NodeGateDeps): NodeGate {
  const { libp2p, transport, directory, evidence, clock } = deps
  const entrance = createEntrance(evidence.now)
  const { seats = ALONE, log: hubLog } = deps
  const { hub } = deps.greeting
  const seating = createSeating({ hub, directory, now: evidence.now, log: hubLog, ...seats })
  const welcomeDeps = { ...deps, seating }
  libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    if (!entrance.opened(connection)) void connection.close()
  })
  const receive = async (visitor: Visitor): Promise<void> => {
    const { connection, admission, log } = visitor
    const isGuest = admission.purpose === 'measure'
    try {
      checkIdentity(visitor)
      await (isGuest ? measureGuest(visitor, deps) : welcomeMember(visitor, welcomeDeps))
    } catch (error) {
      log.warn(isGuest ? 'guest.refused' : 'node.refused', {
        nodeId: admission.nodeId,
        code: errorCode(error) ?? 'internal',
        detail: String(error).slice(0, DETAIL_CHARS),
      })
      await connection.close().catch(() => connection.abort(new Error('refused')))
    }
  }
  return {
    async enter(socket, admission) {
      const { nodeId } = admission
      const lines = createBudget({ most: PEER_LINES, perSecond: PEER_LINES_PER_SECOND, clock })
      const bytes = createBudget({ most: PEER_BYTES, perSecond: PEER_BYTES_PER_SECOND, clock })
      const log = withinBudget(deps.log, lines)
      const metered = meterSocket(socket, bytes, () => log.warn('node.flooded', { nodeId }))
      const entry = entrance.begin(admission, metered.cut)
      try {
        await transport.accept(metered.socket, { address: entry.address })
        const connection = await entry.connection
        await receive({ connection, admission, bytes, log })
      } finally {
        entry.leave()
      }
    },
  }
}

/** Measures a node of another hub once, and closes its connection. */
async function measureGuest(
  { connection, admission }: Visitor,
  { evidence, vouchers }: NodeGateDeps,
): Promise<void> {
  await vouchers.check(admission)
  if (evidence.anchor === null)
    throw new AppError('forbidden', 'This hub has no declared place, so it measures no nodes.')
  evidence.onMeasured(await evidence.anchor.measure(connection, admission), admission.hub)
  await connection.close()
}

function checkIdentity({ connection, admission: { nodeId } }: Visitor): void {
  const peer = connection.remotePeer.toString()
  if (peer === nodeId) return
  throw new AppError(
    'forbidden',
    `The admission is for node ${nodeId}, the connection is ${peer}'s.`,
  )
}
