/**
 * Determines where a connection comes from, where it enters, and who vouches for that. Claims by
 * clients are never believed.
 */
import type { PlaceObservation } from '#shared/place/evidence.ts'
import type { EvidenceSource } from '#shared/law/policy.ts'
import { COUNTRIES, countryBit, UNKNOWN_COUNTRY } from '#shared/law/region.ts'
import { coloCountry } from './colo.ts'
import type { Config } from '#worker/platform/config.ts'
import { equalSecret } from '#worker/platform/constant-time.ts'
import { HOSTING_LIST_VERSION, isHostingNetwork } from './hosting-networks.ts'

/** Set at build time. Production bundles are built with false and contain none of the code behind it. */
declare const __SIMULATED_PLACES__: boolean

export interface Observation {
  /** A country bit from `region.ts`. */
  readonly country: number
  readonly source: EvidenceSource
}

type Deployment = Pick<Config, 'deployment' | 'proxySecret' | 'ingressCountry'>

const NOWHERE: Observation = { country: UNKNOWN_COUNTRY, source: 'none' }

/** The other end of a node's connection, as the edge or a trusted proxy sees it. */
export interface NodeSighting {
  readonly observation: PlaceObservation
  /** Round trip of the TCP connection to where it was seen; null when unmeasured. */
  readonly transportRttMs: number | null
}

/** Cloudflare's country code for Tor connections. */
const TOR = 'T1'

export async function observeNode(request: Request, config: Deployment): Promise<NodeSighting> {
  if (__SIMULATED_PLACES__) {
    const query = new URL(request.url).searchParams
    const code = request.headers.get('x-littoral-simulated-place') ?? query.get('simulated_place')
    if (code !== null) {
      const asn = count(query.get('simulated_asn') ?? undefined)
      const transportRttMs = count(query.get('simulated_rtt') ?? undefined) ?? null
      return { observation: seen(code, asn, 'simulated'), transportRttMs }
    }
  }
  const proxied = await proxyHeader(request, config, 'x-littoral-country')
  if (proxied !== undefined) {
    const asn = count(await proxyHeader(request, config, 'x-littoral-asn'))
    const tcpMicroseconds = count(await proxyHeader(request, config, 'x-littoral-tcp-rtt-us'))
    const transportRttMs = tcpMicroseconds === undefined ? null : tcpMicroseconds / 1_000
    return { observation: seen(proxied, asn, 'proxy'), transportRttMs }
  }
  if (config.deployment === 'cloudflare') {
    const { country, asn, clientTcpRtt } = edgeFacts(request)
    return { observation: seen(country, asn, 'edge'), transportRttMs: clientTcpRtt ?? null }
  }
  return { observation: seen(undefined, undefined, 'none'), transportRttMs: null }
}

/** Determines the country at the other end of this connection. */
export async function observePlace(request: Request, config: Deployment): Promise<Observation> {
  const { observation: found } = await observeNode(request, config)
  return observation(countryBit(found.country ?? undefined), found.source)
}

function seen(
  code: string | undefined,
  asn: number | undefined,
  source: EvidenceSource,
): PlaceObservation {
  const country = code !== undefined && COUNTRIES.includes(code) ? code : null
  return {
    country,
    source: country === null ? 'none' : source,
    asn: asn ?? null,
    network: networkOf(code, asn),
    listVersion: HOSTING_LIST_VERSION,
  }
}

function networkOf(code: string | undefined, asn: number | undefined): PlaceObservation['network'] {
  if (code === TOR) return 'tor'
  if (asn === undefined) return 'unknown'
  return isHostingNetwork(asn) ? 'hosting' : 'residential'
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff
    ? Number(text)
    : undefined
}

export async function observeIngress(request: Request, config: Deployment): Promise<Observation> {
  if (__SIMULATED_PLACES__) {
    const code = request.headers.get('x-littoral-simulated-ingress')
    if (code !== null) return observation(countryBit(code), 'simulated')
  }
  const proxied = await proxyHeader(request, config, 'x-littoral-ingress-country')
  if (proxied !== undefined) return observation(countryBit(proxied), 'proxy')
  if (config.deployment === 'cloudflare') {
    return observation(coloCountry(edgeFacts(request).colo), 'edge')
  }
  return observation(config.ingressCountry, 'operator')
}

/** The client's address, for counting only; it is neither logged nor stored. */
export async function clientAddress(request: Request, config: Deployment): Promise<string> {
  const proxied = await proxyHeader(request, config, 'x-forwarded-for')
  // Proxies append to the header; everything before the last entry was written by the client.
  if (proxied !== undefined) return proxied.split(',').at(-1)?.trim() ?? ''
  if (config.deployment === 'cloudflare') return request.headers.get('cf-connecting-ip') ?? ''
  return edgeFacts(request).clientIp?.replace(/:\d+$/, '') ?? ''
}

export const LOOPBACK_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']
/** Headers that proxies add: such a request was forwarded for somebody else. */
const FORWARDED: readonly string[] = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Tells whether a local program asks directly and by a local name. This excludes web pages that rebind DNS. */
export function isFromLoopback(request: Request, config: Deployment): boolean {
  if (config.deployment === 'cloudflare' || config.proxySecret !== undefined) return false
  if (FORWARDED.some((name) => request.headers.has(name))) return false
  if (!LOOPBACK_HOSTS.includes(new URL(request.url).hostname)) return false
  const { clientIp = '' } = edgeFacts(request)
  return /^(127\.\d+\.\d+\.\d+|\[?(::ffff:)?127\.\d+\.\d+\.\d+\]?|\[?::1\]?)(:\d+)?$/.test(clientIp)
}

function observation(country: number, source: EvidenceSource): Observation {
  return country === UNKNOWN_COUNTRY ? NOWHERE : { country, source }
}

/** A header of the operator's proxy, which authenticates itself with a shared secret. */
async function proxyHeader(
  request: Request,
  config: Deployment,
  name: string,
): Promise<string | undefined> {
  const value = request.headers.get(name)
  const secret = request.headers.get('x-littoral-proxy-secret')
  if (value === null || secret === null || config.proxySecret === undefined) return undefined
  return (await equalSecret(secret, config.proxySecret)) ? value : undefined
}

/** `request.cf`: Cloudflare's edge sets it; plain workerd only knows the client's address. */
function edgeFacts(request: Request): EdgeFacts {
  const { cf } = request as { cf?: EdgeFacts }
  return cf ?? {}
}

interface EdgeFacts {
  readonly country?: string
  readonly asn?: number
  readonly colo?: string
  readonly clientIp?: string
  /** https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties */
  readonly clientTcpRtt?: number
}
