/**
 * The libp2p node for model files, separate from the working node. Strangers may dial it, so it speaks no other
 * protocol, and its key reveals nothing about who earns.
 */
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { LIMITS } from '#shared/base/limits.ts'
import { isAddress, isPrivateHost } from '#shared/base/private-host.ts'
import { nativeNoiseCrypto } from '#p2p/peers/native-noise.ts'
import { isWebSocketAddress, toWebSocketUrl } from '../transports/address.ts'
import { webSocketTransport } from '../transports/websocket.ts'

export type FileNode = Libp2p

export interface FileNodeOptions {
  readonly privateKey: PrivateKey
  /** Multiaddrs to listen on; none for a node that only downloads. */
  readonly listen?: readonly string[]
  /** Whether it may dial this machine and its network. The addresses come from strangers. @default false */
  readonly mayDialPrivate?: boolean
}

const MAX_CONNECTIONS = 32

export async function createFileNode(options: FileNodeOptions): Promise<FileNode> {
  const { privateKey, listen = [], mayDialPrivate = false } = options
  const crypto = nativeNoiseCrypto()
  return createLibp2p({
    privateKey,
    nodeInfo: { name: 'littoral-files', userAgent: 'littoral/1' },
    transports: [webSocketTransport()],
    addresses: { listen: [...listen] },
    connectionEncrypters: [noise(crypto === undefined ? {} : { crypto })],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      maxIncomingPendingConnections: MAX_CONNECTIONS,
      inboundUpgradeTimeout: LIMITS.openTimeoutMs,
      dialTimeout: LIMITS.openTimeoutMs,
      addressDialTimeout: LIMITS.openTimeoutMs,
      reconnectRetries: 0,
    },
    connectionGater: {
      denyDialMultiaddr: (address) => !mayDialPrivate && !isPublicAddress(address),
    },
  })
}

/**
 * Tells whether the dialled host is a public IP address, or a name whose certificate is checked. It checks the host of the
 * URL, because a multiaddr may hide an address behind a name, or in another notation.
 */
export function isPublicAddress(address: Multiaddr): boolean {
  if (!isWebSocketAddress(address)) return false
  const text = toWebSocketUrl(address)
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return !isPrivateHost(hostname) && (isAddress(hostname) || protocol === 'wss:')
}
