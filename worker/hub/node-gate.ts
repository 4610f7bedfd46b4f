/** Where a node's socket becomes a member of the hub: handshake, held work stream, welcome, and away again. */
import type { Connection, Libp2p } from '@libp2p/interface'
import type { DurableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import type { Hello, StoredReceipt, Welcome } from '#p2p/messages.ts'
import { WORK_PROTOCOL } from '#p2p/frames.ts'
import { verifyPresence } from '#p2p/presence.ts'
import { openWork } from '#p2p/work-client.ts'
import { AppError, errorCode } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import type { PresenceRecord } from '#shared/node.ts'
import { countryCode } from '#shared/region.ts'
import type { Directory, Member } from './directory.ts'
import type { Admission } from './protocol.ts'

export interface NodeGateDeps {
  readonly libp2p: Libp2p
  readonly transport: DurableObjectTransport
  readonly directory: Directory
  /** The hub's half of the welcome. */
  readonly greeting: Pick<Welcome, 'hub' | 'hubKey' | 'domain'>
  readonly onReceipt: (stored: StoredReceipt) => Promise<void>
  /** A node came or went. */
  readonly onChange: () => void
  readonly log: Log
}

export interface NodeGate {
  /** Takes an accepted server-side socket that the Worker vouched for. */
  enter(socket: SocketLike, admission: Admission): Promise<void>
}

/** A socket whose handshake or greeting has not ended. */
interface Entry {
  readonly nodeId: string
  readonly opened: (connection: Connection) => void
}

/**
 * An admission belongs to one socket, never to a peer id: whoever else presents the same id comes with its own
 * place. Each socket therefore gets an address of its own, by which its connection is known again.
 */
export function createNodeGate(deps: NodeGateDeps): NodeGate {
  const entering = new Map<string, Entry>()
  let serial = 0

  deps.libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    const address = connection.remoteAddr.toString()
    const claimed = [...entering].find(([mark]) => address.startsWith(mark))
    if (claimed === undefined) void connection.close()
    else claimed[1].opened(connection)
  })

  return {
    async enter(socket, admission) {
      if (deps.directory.size + entering.size >= LIMITS.hubNodes) {
        throw new AppError('no_capacity', `The hub is full (${LIMITS.hubNodes} nodes).`)
      }
      const own = [...entering.values()].filter(({ nodeId }) => nodeId === admission.nodeId)
      if (own.length >= LIMITS.nodeEntering)
        throw new AppError('no_capacity', 'This node is entering already.')
      serial += 1
      const address = `fd00::${(serial >>> 16).toString(16)}:${(serial & 0xffff).toString(16)}`
      const { promise, resolve } = Promise.withResolvers<Connection>()
      const mark = markOf(address)
      entering.set(mark, { nodeId: admission.nodeId, opened: resolve })
      try {
        await deps.transport.accept(socket, { address })
        await welcomeMember(deps, await promise, admission)
      } finally {
        entering.delete(mark)
      }
    },
  }
}

/** The address as libp2p prints it back: zero groups are dropped by neither side for these values. */
function markOf(address: string): string {
  const [high = '0', low = '0'] = address.slice('fd00::'.length).split(':')
  return high === '0' ? `/ip6/fd00::${low}/` : `/ip6/fd00::${high}:${low}/`
}

async function welcomeMember(
  deps: NodeGateDeps,
  connection: Connection,
  admission: Admission,
): Promise<void> {
  const nodeId = connection.remotePeer.toString()
  try {
    if (nodeId !== admission.nodeId) {
      throw new AppError(
        'forbidden',
        `The admission is for node ${admission.nodeId}, the connection is ${nodeId}'s.`,
      )
    }
    const stream = await connection.newStream(WORK_PROTOCOL, {
      signal: AbortSignal.timeout(LIMITS.openTimeoutMs),
    })
    let presence: PresenceRecord | undefined
    const quarantine = contradiction(admission)
    const link = await openWork(stream, {
      welcome: async (hello: Hello) => {
        presence = await verifyPresence(hello.presence)
        if (presence.nodeId !== nodeId)
          throw new AppError('forbidden', 'The presence record is of another node.')
        if (presence.claim !== admission.claim) {
          throw new AppError(
            'forbidden',
            `The presence record claims ${presence.claim}, the admission ${admission.claim}.`,
          )
        }
        const { place, networks } = admission
        return { ...deps.greeting, version: 1, place, networks, quarantine }
      },
      onReceipt: deps.onReceipt,
      onPresence: async (signed) => {
        const record = await verifyPresence(signed)
        if (record.nodeId !== nodeId)
          throw new AppError('forbidden', 'The presence record is of another node.')
        deps.directory.refresh(record, signed)
        deps.onChange()
      },
      log: deps.log,
    })
    if (presence === undefined)
      throw new AppError('internal', 'The node was welcomed without a presence record.')
    const member: Member = {
      admission,
      link,
      presence,
      signedPresence: link.hello.presence,
      quarantine,
      jobsDone: 0,
      serviceMs: new Map(),
    }
    // Replaced before it is closed: of two that enter at once, neither may be left open and uncounted.
    const before = deps.directory.get(nodeId)
    deps.directory.add(member)
    await before?.link.close()
    deps.log.info('node.joined', {
      nodeId,
      country: countryCode(admission.place.country),
      evidence: admission.place.evidence,
    })
    deps.onChange()
    void link.closed.then(() => {
      deps.directory.remove(member)
      deps.log.info('node.left', { nodeId })
      deps.onChange()
      return connection.close()
    })
  } catch (error) {
    deps.log.warn('node.refused', {
      nodeId,
      code: errorCode(error) ?? 'internal',
      detail: String(error),
    })
    await connection.close().catch(() => connection.abort(new Error('refused')))
  }
}

function contradiction({ claim, place }: Admission): string | null {
  if (place.evidence !== 'contradicted') return null
  return `The node claims ${claim}, but its connection comes from elsewhere. It gets no work until both agree.`
}
