/** How sure the network is of the node's place, in words. */
import type { HubView } from '../protocol.ts'
import { countryName } from './countries.ts'

const EVIDENCE: Readonly<Record<string, string>> = {
  contradicted: 'the connection says otherwise',
  declared: 'only by your word',
  observed: 'your connection agrees',
  bounded: 'measured by round trips',
  attested: 'vouched for by the operator',
}

export function describePlace({ country, evidence, source }: HubView): string {
  const place = country === 'unknown' ? 'an unknown place' : countryName(country)
  const proof = EVIDENCE[evidence] ?? evidence
  return source === 'simulated' ? `${place}, simulated for development` : `${place}: ${proof}`
}
