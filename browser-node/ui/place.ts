/** Describes the node's place as the network sees it, and how certain that is. */
import type { HubView } from '../node/protocol.ts'
import { countryName } from './countries.ts'

const EVIDENCE: Readonly<Record<string, string>> = {
  declared: 'by your choice only',
  observed: 'your connection agrees',
  bounded: 'measured by round trips',
  attested: 'confirmed by the operator',
}

/** @param seen country that the network observes for this connection */
export function describePlace({ country, evidence, source }: HubView, seen: string | null): string {
  if (evidence === 'contradicted') {
    const where = seen === null || seen === country ? 'another country' : countryName(seen)
    return `${where}, not ${countryName(country)} as chosen here`
  }
  const place = country === 'unknown' ? 'an unknown place' : countryName(country)
  const proof = EVIDENCE[evidence] ?? evidence
  return source === 'simulated' ? `${place}, simulated for development` : `${place}: ${proof}`
}

/** Tells the owner how to end a quarantine. */
export function remedyFor({ country, evidence }: HubView, seen: string | null): string {
  if (evidence !== 'contradicted')
    return 'Press Pause, then Resume. If that does not help, contact the operator of this network and give the public ID below.'
  const choose =
    seen === null || seen === country
      ? 'Press Pause and choose the country where this device is.'
      : `If this device is in ${countryName(seen)}, press Pause, choose ${countryName(seen)} and press Resume.`
  return `${choose} If ${countryName(country)} is right, turn off your VPN or proxy.`
}
