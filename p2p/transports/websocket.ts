/**
 * WebSockets for nodes: libp2p's transport with our own dialler. Libp2p's rejects addresses with an http-path. It
 * rejects a failed dial with an ErrorEvent, which is no Error, so callers do not retry. It resets with close code 1006,
 * which every runtime refuses.
 */
import { ConnectionFailedError, type Connection, type Transport } from '@libp2p/interface'
import {
  webSockets,
  type WebSocketsComponents,
  type WebSocketsDialEvents,
} from '@libp2p/websockets'
import type { Multiaddr } from '@multiformats/multiaddr'
import { isWebSocketAddress, toWebSocketUrl } from './address.ts'
import { socketConnection, upgraded } from './socket-connection.ts'

type DialOptions = Parameters<Transport<WebSocketsDialEvents>['dial']>[1]

export function webSocketTransport(): (components: WebSocketsComponents) => Transport {
  const stock = webSockets()
  return (components) => {
    const transport = stock(components)
    const log = components.logger.forComponent('littoral:websocket')
    return Object.assign(transport, {
      dialFilter: (addresses: Multiaddr[]) => addresses.filter(isWebSocketAddress),
      async dial(address: Multiaddr, options: DialOptions): Promise<Connection> {
        const socket = await openSocket(toWebSocketUrl(address), options.signal)
        const connection = socketConnection({
          socket,
          remoteAddr: address,
          direction: 'outbound',
          log,
        })
        return upgraded(connection, options.upgrader.upgradeOutbound(connection, options))
      },
    })
  }
}

/** @throws {ConnectionFailedError} when the socket does not open */
function openSocket(url: string, signal: AbortSignal): Promise<WebSocket> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeEventListener('open', onOpen)
      socket.removeEventListener('error', onFailure)
      socket.removeEventListener('close', onFailure)
      finish()
    }
    const onOpen = () => settle(() => resolve(socket))
    const onFailure = () =>
      settle(() => reject(new ConnectionFailedError('The WebSocket did not open.')))
    const onAbort = () =>
      settle(() => {
        socket.close()
        reject(signal.reason as Error)
      })
    signal.addEventListener('abort', onAbort)
    socket.addEventListener('open', onOpen)
    socket.addEventListener('error', onFailure)
    socket.addEventListener('close', onFailure)
    socket.binaryType = 'arraybuffer'
  })
}
