/** How sure the network is of the node's place, in words. */
import type { HubView } from '../node/protocol.ts'
import { countryName } from './countries.ts'

const EVIDENCE: Readonly<Record<string, string>> = {
  contradicted: 'the connection says otherwise',
  declared: 'only by your word',
  observed: 'your connection agrees',
  bounded: 'measured by round trips',
  attested: 'vouched for by the operator',
}

/** @param seen where the network sees this connection */
export function describePlace({ country, evidence, source }: HubView, seen: string | null): string {
  if (evidence === 'contradicted') {
    const where = seen === null || seen === country ? 'another country' : countryName(seen)
    return `${where}, not ${countryName(country)} as this page says`
  }
  const place = country === 'unknown' ? 'an unknown place' : countryName(country)
  const proof = EVIDENCE[evidence] ?? evidence
  return source === 'simulated' ? `${place}, simulated for development` : `${place}: ${proof}`
}

/** What the owner can do about a quarantine. */
export function remedyFor({ country, evidence }: HubView, seen: string | null): string {
  if (evidence !== 'contradicted')
    return 'Press Pause, then Resume. If it stays, ask the operator of this network and name the public id below.'
  const choose =
    seen === null || seen === country
      ? 'Press Pause and choose the country where this device is.'
      : `If this device is in ${countryName(seen)}, press Pause, choose ${countryName(seen)} and press Resume.`
  return `${choose} If ${countryName(country)} is right, turn off the VPN or proxy that this connection goes through.`
}
