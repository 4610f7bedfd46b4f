/**
 * Countries and groups, as bits of one 256-bit set.
 *
 * The bit table is ISO 3166-1 alpha-2 in the order below and is append-only: a published policy, a receipt and
 * the contract name a country by its bit, so a code may be added at the end but never moved.
 * Source: https://www.iso.org/obp/ui/#search (249 entries, read 2026-11).
 */
import { invariant } from './errors.ts'

export const COUNTRIES = (
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ ' +
  'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR ' +
  'GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP ' +
  'KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT ' +
  'MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW ' +
  'SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ ' +
  'UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW'
).split(' ')

const EU = 'AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK'.split(
  ' ',
)

/**
 * Named groups, as of 2026-11-01. `ADEQUATE` lists EEA countries and those with a whole-country GDPR adequacy decision; the United
 * States (only certified organisations) and Canada (only commercial ones) are left out because a country bit cannot
 * carry that condition. Sources: https://european-union.europa.eu/principles-countries-history/eu-countries_en and
 * https://commission.europa.eu/law/law-topic/data-protection/international-dimension-data-protection/adequacy-decisions_en
 */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  EU,
  EEA: [...EU, 'IS', 'LI', 'NO'],
  ADEQUATE: [...EU, 'IS', 'LI', 'NO', ...'AD AR CH FO GB GG IL IM JE JP KR NZ UY'.split(' ')],
  WORLD: COUNTRIES,
}

const BIT = new Map(COUNTRIES.map((code, bit) => [code, bit]))

/** A set of countries: 64 lower-case hex digits after 0x, bit n standing for `COUNTRIES[n]`; equal to Solidity's uint256. */
export type CountrySet = `0x${string}`

/** The bit that stands for a place nobody knows; in no set, ever. */
export const UNKNOWN_COUNTRY = 255

/** Bit of an alpha-2 code, or {@link UNKNOWN_COUNTRY} for anything else (such as Cloudflare's `T1` and `XX`). */
export function countryBit(code: string | undefined): number {
  return code === undefined ? UNKNOWN_COUNTRY : (BIT.get(code) ?? UNKNOWN_COUNTRY)
}

export function countryCode(bit: number): string {
  return COUNTRIES[bit] ?? 'unknown'
}

export function isRegion(name: string): boolean {
  return BIT.has(name) || Object.hasOwn(GROUPS, name)
}

/** Expands countries and groups into one set. @throws when a name is neither; parse with `isRegion` first. */
export function countrySet(regions: readonly string[]): CountrySet {
  let bits = 0n
  for (const region of regions) {
    for (const code of GROUPS[region] ?? [region]) {
      const bit = BIT.get(code)
      invariant(bit !== undefined, `unknown region ${code}`)
      bits |= 1n << BigInt(bit)
    }
  }
  return fromBits(bits)
}

/** The set of one country; of an unknown place, the empty one. */
export function onlyCountry(bit: number): CountrySet {
  return fromBits(bit >= 0 && bit < UNKNOWN_COUNTRY ? 1n << BigInt(bit) : 0n)
}

/** Whether a country is in a set: reads one hex digit, allocates nothing. */
export function hasCountry(set: CountrySet, bit: number): boolean {
  if (bit < 0 || bit >= UNKNOWN_COUNTRY) return false
  const digit = set.charCodeAt(65 - (bit >> 2))
  const nibble = digit < 58 ? digit - 48 : digit - 87
  return ((nibble >> (bit & 3)) & 1) === 1
}

export function intersect(a: CountrySet, b: CountrySet): CountrySet {
  return fromBits(BigInt(a) & BigInt(b))
}

export function without(a: CountrySet, b: CountrySet): CountrySet {
  return fromBits(BigInt(a) & ~BigInt(b))
}

export function isSubset(inner: CountrySet, outer: CountrySet): boolean {
  return (BigInt(inner) & ~BigInt(outer)) === 0n
}

export function listCountries(set: CountrySet): string[] {
  return COUNTRIES.filter((_, bit) => hasCountry(set, bit))
}

function fromBits(bits: bigint): CountrySet {
  return `0x${bits.toString(16).padStart(64, '0')}`
}
