/** Where a connection comes from and where it enters, and who vouches for that. Nothing that a client says is believed. */
import type { EvidenceSource, NodeTrust } from '#shared/policy.ts'
import { NO_EVIDENCE, type Place } from '#shared/receipt.ts'
import { countryBit, onlyCountry, UNKNOWN_COUNTRY } from '#shared/region.ts'
import { coloCountry } from './colo.ts'
import type { Config } from './config.ts'
import { equalSecret } from './constant-time.ts'

/** Set at build time. Bundles for production are built with false and hold none of the code behind it. */
declare const __SIMULATED_PLACES__: boolean

export interface Observation {
  /** A bit of the table in `region.ts`. */
  readonly country: number
  readonly source: EvidenceSource
}

type Deployment = Pick<Config, 'deployment' | 'proxySecret' | 'ingressCountry'>

const NOWHERE: Observation = { country: UNKNOWN_COUNTRY, source: 'none' }

/** The country that the other end of this connection stands in, as the edge or a trusted proxy sees it. */
export async function observePlace(request: Request, config: Deployment): Promise<Observation> {
  if (__SIMULATED_PLACES__) {
    const code =
      request.headers.get('x-littoral-simulated-place') ??
      new URL(request.url).searchParams.get('simulated_place')
    if (code !== null) return observation(countryBit(code), 'simulated')
  }
  const proxied = await proxyHeader(request, config, 'x-littoral-country')
  if (proxied !== undefined) return observation(countryBit(proxied), 'proxy')
  if (config.deployment === 'cloudflare') {
    return observation(countryBit(edgeFacts(request).country), 'edge')
  }
  return NOWHERE
}

/** The country where TLS ended for this request. */
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

/** What a node's claim is worth beside what was seen of its connection. */
export function judgeClaim(claim: string, seen: Observation, trust: NodeTrust): Place {
  const country = countryBit(claim)
  const place = { country, trust, possible: onlyCountry(country), evidenceHash: NO_EVIDENCE }
  if (seen.country === UNKNOWN_COUNTRY) return { ...place, evidence: 'declared', source: 'none' }
  const evidence = seen.country === country ? 'observed' : 'contradicted'
  return { ...place, evidence, source: seen.source }
}

/** Address of the client, for counting only; it is neither logged nor stored. */
export async function clientAddress(request: Request, config: Deployment): Promise<string> {
  const proxied = await proxyHeader(request, config, 'x-forwarded-for')
  // Proxies append: what stands before the last entry is what the client wrote.
  if (proxied !== undefined) return proxied.split(',').at(-1)?.trim() ?? ''
  if (config.deployment === 'cloudflare') return request.headers.get('cf-connecting-ip') ?? ''
  return edgeFacts(request).clientIp?.replace(/:\d+$/, '') ?? ''
}

function observation(country: number, source: EvidenceSource): Observation {
  return country === UNKNOWN_COUNTRY ? NOWHERE : { country, source }
}

/** A header of the operator's own proxy, which proves itself by a shared secret on the same request. */
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

/** `request.cf`: on Cloudflare its edge sets it; plain workerd knows the client's address only. */
function edgeFacts(request: Request): { country?: string; colo?: string; clientIp?: string } {
  const { cf } = request as { cf?: { country?: string; colo?: string; clientIp?: string } }
  return cf ?? {}
}
