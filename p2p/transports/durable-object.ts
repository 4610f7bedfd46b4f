/** The hub's transport inside a Durable Object: WebSocketPairs in, `fetch` upgrades out. */
import {
  ConnectionFailedError,
  transportSymbol,
  TypedEventEmitter,
  type Connection,
  type ComponentLogger,
  type CreateListenerOptions,
  type Listener,
  type ListenerEvents,
  type Transport,
  type Upgrader,
} from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { isWebSocketAddress, toWebSocketUrl } from './address.ts'
import { socketConnection, upgraded, type SocketLike } from './socket-connection.ts'

export interface RemoteEnd {
  /** IP address as the edge saw it, used only by libp2p's bookkeeping. */
  readonly address?: string
}

/** workerd's reply to an upgrade by `fetch`. */
export interface UpgradeResponse {
  readonly status: number
  readonly webSocket?: (SocketLike & { accept?(): void }) | null
}

export type UpgradeFetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<UpgradeResponse>

export interface DurableObjectTransportOptions {
  /** @default the runtime's fetch */
  readonly fetch?: UpgradeFetch
}

export interface TransportComponents {
  readonly logger: ComponentLogger
  readonly upgrader: Upgrader
}

export interface DurableObjectTransport {
  (components: TransportComponents): Transport
  /**
   * Upgrades an accepted inbound socket; resolves when the connection is up.
   * @throws {AppError} node_lost when the handshake fails; the socket is closed then
   */
  accept(socket: SocketLike, remote: RemoteEnd): Promise<void>
}

/** Makes one hub's transport, for `createHubNode`. Inbound sockets go to `accept`. */
export function durableObjectTransport(
  options: DurableObjectTransportOptions = {},
): DurableObjectTransport {
  const upgradeFetch = options.fetch ?? (fetch as unknown as UpgradeFetch)
  let bound: TransportComponents | undefined

  const factory = (components: TransportComponents): Transport => {
    bound = components
    const log = components.logger.forComponent('littoral:durable-object')
    return {
      [transportSymbol]: true,
      [Symbol.toStringTag]: '@littoral/durable-object',
      createListener: createIdleListener,
      listenFilter: () => [],
      dialFilter: (addresses) => addresses.filter(isWebSocketAddress),
      async dial(address, dialOptions): Promise<Connection> {
        const url = toWebSocketUrl(address).replace(/^ws/, 'http')
        const response = await upgradeFetch(url, {
          headers: { Upgrade: 'websocket' },
          signal: dialOptions.signal,
        })
        const socket = response.webSocket
        if (socket === undefined || socket === null)
          throw new ConnectionFailedError(`The peer answered ${response.status}, not an upgrade.`)
        const connection = socketConnection({
          socket,
          remoteAddr: address,
          direction: 'outbound',
          log,
        })
        // Listeners are set before the first message can come.
        socket.accept?.()
        return upgraded(connection, dialOptions.upgrader.upgradeOutbound(connection, dialOptions))
      },
    }
  }

  const accept = async (socket: SocketLike, remote: RemoteEnd): Promise<void> => {
    if (bound === undefined) throw new AppError('internal', 'The transport belongs to no node yet.')
    const connection = socketConnection({
      socket,
      remoteAddr: remoteMultiaddr(remote.address),
      direction: 'inbound',
      log: bound.logger.forComponent('littoral:durable-object'),
    })
    const signal = AbortSignal.timeout(LIMITS.openTimeoutMs)
    try {
      await upgraded(connection, bound.upgrader.upgradeInbound(connection, { signal }))
    } catch (cause) {
      throw new AppError('node_lost', 'The handshake with the node failed.', { cause })
    }
  }
  return Object.assign(factory, { accept })
}

/** Makes an address, which libp2p needs for every peer; an unknown one is 0.0.0.0. */
function remoteMultiaddr(address = '0.0.0.0'): Multiaddr {
  return multiaddr(`/${address.includes(':') ? 'ip6' : 'ip4'}/${address}/tcp/1/ws`)
}

/** A Durable Object is given its sockets, so it has nothing to listen on. */
function createIdleListener(_options: CreateListenerOptions): Listener {
  const events = new TypedEventEmitter<ListenerEvents>()
  return Object.assign(events, {
    listen: () => Promise.reject(new AppError('internal', 'A Durable Object cannot listen.')),
    getAddrs: () => [],
    close: () => Promise.resolve(),
    updateAnnounceAddrs() {},
  })
}
