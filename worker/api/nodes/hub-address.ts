/** The multiaddr at which nodes dial a hub: the Worker's address with the hub's HTTP path. */
import type { Config } from '#worker/platform/config.ts'

/**
 * `/dns4/example.org/tcp/443/tls/ws/http-path/p2p%2Fhub-0/p2p/12D3…`
 * @param token admission token for an admitted node
 */
export function hubAddress(
  request: Request,
  config: Pick<Config, 'hubAddress'>,
  hub: { readonly hub: string; readonly peerId: string; readonly token?: string },
): string {
  const base = config.hubAddress || originAddress(new URL(request.url))
  const path = hub.token === undefined ? `p2p/${hub.hub}` : `p2p/${hub.hub}?token=${hub.token}`
  return `${base}/http-path/${encodeURIComponent(path)}/p2p/${hub.peerId}`
}

/** The address that this request came to. Behind a proxy that ends TLS, set HUB_ADDRESS instead. */
export function originAddress({ protocol, hostname, port }: URL): string {
  const isTls = protocol === 'https:'
  const tcp = port || (isTls ? '443' : '80')
  return `${hostAddress(hostname)}/tcp/${tcp}${isTls ? '/tls/ws' : '/ws'}`
}

function hostAddress(hostname: string): string {
  if (hostname.startsWith('[')) return `/ip6/${hostname.slice(1, -1)}`
  return /^\d+(\.\d+){3}$/.test(hostname) ? `/ip4/${hostname}` : `/dns4/${hostname}`
}
