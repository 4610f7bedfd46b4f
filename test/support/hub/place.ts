/** Places as a hub sees them, for tests. */
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import { OPERATOR_TENANT } from '#shared/law/policy.ts'
import { ZERO_BYTES32 } from '#shared/base/ids.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'

/** A public node that the edge observed in this country, unless changed. */
export function placeIn(code: string, change: Partial<Place> = {}): Place {
  const country = countryBit(code)
  return {
    country,
    evidence: 'observed',
    source: 'edge',
    trust: 'public',
    voucher: voucherFor(change),
    possible: onlyCountry(country),
    evidenceHash: ZERO_BYTES32,
    ...change,
  }
}

/** The operator attests trusted nodes, unless changed. */
export function voucherFor({ trust = 'public' }: Partial<Place>): Place['voucher'] {
  return trust === 'public' ? null : OPERATOR_TENANT
}

/** Evidence of a member that never changes. */
export function standsAt(place: Place): MemberEvidence {
  return { place: () => place, record: () => null }
}
