/** Multiaddrs of hubs as WebSocket URLs. */
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { isWebSocketAddress, toWebSocketUrl } from '#p2p/transports/address.ts'

const ID = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtF'
const PATH = encodeURIComponent('hubs/hub-0?admission=a%20b=&c')

test.each([
  ['/ip4/127.0.0.1/tcp/8787/ws', 'ws://127.0.0.1:8787/'],
  ['/ip6/::1/tcp/80/ws', 'ws://[::1]:80/'],
  ['/dns4/hub.example/tcp/443/tls/ws', 'wss://hub.example:443/'],
  ['/dns/hub.example/tcp/443/wss', 'wss://hub.example:443/'],
  ['/ip4/192.0.2.1/tcp/443/tls/sni/hub.example/ws', 'wss://hub.example:443/'],
  [
    `/dns4/hub.example/tcp/443/tls/ws/http-path/${PATH}/p2p/${ID}`,
    'wss://hub.example:443/hubs/hub-0?admission=a%20b=&c',
  ],
  [`/ip4/127.0.0.1/tcp/1/ws/http-path/%2Fa/p2p/${ID}`, 'ws://127.0.0.1:1/a'],
])('[T8] %s is dialled as %s', (address, url) => {
  expect(isWebSocketAddress(multiaddr(address))).toBe(true)
  expect(toWebSocketUrl(multiaddr(address))).toBe(url)
})

test.each([
  '/ip4/127.0.0.1/tcp/80',
  '/ip4/8.8.8.8/tcp/80/sni/localhost/ws',
  '/ip4/127.0.0.1/udp/80/quic-v1',
  `/ip4/127.0.0.1/tcp/80/ws/p2p/${ID}/p2p-circuit`,
])('[T8] %s is not dialled', (address) => {
  expect(isWebSocketAddress(multiaddr(address))).toBe(false)
})

test('[T8] a path with a query survives the multiaddr', () => {
  const path = encodeURIComponent('hubs/a?t=x.y-z_%2F')
  const address = multiaddr(`/ip4/127.0.0.1/tcp/1/ws/http-path/${path}`)
  expect(toWebSocketUrl(multiaddr(address.toString()))).toBe('ws://127.0.0.1:1/hubs/a?t=x.y-z_%2F')
  expect(toWebSocketUrl(multiaddr(address.bytes))).toBe('ws://127.0.0.1:1/hubs/a?t=x.y-z_%2F')
})
