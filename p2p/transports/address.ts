/** WebSocket multiaddrs and their URLs, including the path by which one Worker serves many hubs. */
import type { Component, Multiaddr } from '@multiformats/multiaddr'
import { AppError } from '#shared/base/errors.ts'

const HOST_NAMES = ['ip4', 'ip6', 'dns', 'dns4', 'dns6']
const KNOWN_NAMES = [...HOST_NAMES, 'tcp', 'tls', 'sni', 'ws', 'wss', 'http-path', 'p2p']

/** Tells whether the address is a WebSocket that can be dialled directly, with or without TLS, path and peer id. */
export function isWebSocketAddress(address: Multiaddr): boolean {
  return parts(address) !== undefined
}

/**
 * `/dns4/example.com/tcp/443/tls/ws/http-path/hubs%2Fa%3Ft=1/p2p/ID` → `wss://example.com:443/hubs/a?t=1`.
 * @throws {AppError} invalid_request for any other kind of address
 */
export function toWebSocketUrl(address: Multiaddr): string {
  const found = parts(address)
  if (found === undefined)
    throw new AppError('invalid_request', 'The address is not a WebSocket that can be dialled.')
  const { host, port, isSecure, path } = found
  const name = host.name === 'ip6' ? `[${host.value ?? ''}]` : (host.value ?? '')
  return `${isSecure ? 'wss' : 'ws'}://${name}:${port}${path}`
}

interface AddressParts {
  readonly host: Component
  readonly port: string
  readonly isSecure: boolean
  readonly path: string
}

function parts(address: Multiaddr): AddressParts | undefined {
  const components = address.getComponents()
  const [host] = components
  const find = (name: string) => components.find((component) => component.name === name)
  const port = find('tcp')?.value
  if (host === undefined || port === undefined || !HOST_NAMES.includes(host.name)) return undefined
  if (components.some(({ name }) => !KNOWN_NAMES.includes(name))) return undefined
  if (find('ws') === undefined && find('wss') === undefined) return undefined
  const isSecure = find('tls') !== undefined || find('wss') !== undefined
  const sni = find('sni')
  // Without TLS nothing checks the SNI name: the address would name one host and lead to another.
  if (sni !== undefined && !isSecure) return undefined
  return {
    host: sni === undefined ? host : { ...sni, name: 'dns' },
    port,
    isSecure,
    path: `/${(find('http-path')?.value ?? '').replace(/^\/+/, '')}`,
  }
}
