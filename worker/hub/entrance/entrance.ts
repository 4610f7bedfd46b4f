/** Sockets that are not members yet. Each has an unused admission, and their number is bounded. */
import type { Connection } from '@libp2p/interface'
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { chooseWaiting, HUB_ENTERING } from './seats.ts'

/** Used admissions that a hub remembers until they expire. */
const ADMISSIONS_REMEMBERED = 20_000
/** Sockets of one node id that are not yet members. Replays of one admission must not fill the hub. */
export const NODE_ENTERING = 2
invariant(NODE_ENTERING < HUB_ENTERING, 'One node id cannot fill the entrance.')

export interface Entry {
  /** The address given to its socket, which identifies its connection. */
  readonly address: string
  readonly connection: Promise<Connection>
  leave(): void
}

export interface Entrance {
  /** @param drop ends the socket @throws {AppError} forbidden for a used admission, no_capacity */
  begin(admission: Admission, drop: () => void): Entry
  /** @returns whether the connection belongs to a socket that entered here */
  opened(connection: Connection): boolean
}

interface Waiting {
  readonly nodeId: string
  readonly block: string
  readonly opened: (connection: Connection) => void
  readonly drop: () => void
}

/**
 * An admission belongs to one socket, not to a peer id: another socket with the same id may come from another place.
 * Each socket therefore gets its own address.
 */
export function createEntrance(nowMs: () => number): Entrance {
  const entering = new Map<string, Waiting>()
  const used = createUsed(nowMs)
  let serial = 0
  return {
    opened(connection) {
      const address = connection.remoteAddr.toString()
      const claimed = [...entering].find(([mark]) => address.startsWith(mark))
      claimed?.[1].opened(connection)
      return claimed !== undefined
    },
    begin(admission, drop) {
      const { nodeId, block } = admission
      used.take(admission)
      const own = [...entering.values()].filter((each) => each.nodeId === nodeId)
      if (own.length >= NODE_ENTERING)
        throw new AppError('no_capacity', 'This node is already entering.')
      const leaver = chooseWaiting([...entering.values()], block)
      if (leaver === 'full')
        throw new AppError(
          'no_capacity',
          'Too many nodes from this address block are entering at once.',
        )
      leaver?.drop()
      serial += 1
      const address = `fd00::${(serial >>> 16).toString(16)}:${(serial & 0xffff).toString(16)}`
      const mark = markOf(address)
      const { promise, resolve } = Promise.withResolvers<Connection>()
      const leave = () => void entering.delete(mark)
      entering.set(mark, {
        nodeId,
        block,
        opened: resolve,
        drop: () => {
          leave()
          drop()
        },
      })
      return { address, connection: promise, leave }
    },
  }
}

/** The address as libp2p prints it back. For these values neither side drops zero groups. */
function markOf(address: string): string {
  const [high = '0', low = '0'] = address.slice('fd00::'.length).split(':')
  return high === '0' ? `/ip6/fd00::${low}/` : `/ip6/fd00::${high}:${low}/`
}

/** Admissions that were used and have not expired. */
function createUsed(nowMs: () => number) {
  const used = new Map<string, number>()
  return {
    take({ nonce, expiresAtMs }: Pick<Admission, 'nonce' | 'expiresAtMs'>): void {
      // They expire in about the order in which they came.
      for (const [oldest, untilMs] of used) {
        if (untilMs >= nowMs() && used.size < ADMISSIONS_REMEMBERED) break
        used.delete(oldest)
      }
      if (used.has(nonce))
        throw new AppError('forbidden', 'This admission was already used; ask for a new one.')
      used.set(nonce, expiresAtMs)
    },
  }
}
