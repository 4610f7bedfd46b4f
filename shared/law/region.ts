/**
 * Countries and groups, as bits of one 256-bit set.
 *
 * The bit table is ISO 3166-1 alpha-2 in the order below, and it is append-only. Published policies, receipts and the
 * contract name a country by its bit, so a new code goes to the end and no code ever moves.
 * Source: https://www.iso.org/obp/ui/#search (249 entries, read 2026-11). Groups are in `region-groups.ts`.
 */
import { invariant } from '#shared/base/errors.ts'
import { CURRENT_REGIONS, REGION_LISTS, type RegionGroups } from './region-groups.ts'

export const COUNTRIES = (
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ ' +
  'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR ' +
  'GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP ' +
  'KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT ' +
  'MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW ' +
  'SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ ' +
  'UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW'
).split(' ')

const LISTS = new Map(REGION_LISTS.map((list) => [list.version, list]))

const BIT = new Map(COUNTRIES.map((code, bit) => [code, bit]))

/** A set of countries: 0x and 64 lower-case hex digits; bit n stands for `COUNTRIES[n]`. Equals Solidity's uint256. */
export type CountrySet = `0x${string}`

/** The bit of an unknown place; no set ever contains it. */
export const UNKNOWN_COUNTRY = 255

/** Bit of an alpha-2 code; {@link UNKNOWN_COUNTRY} for anything else, such as Cloudflare's `T1` and `XX`. */
export function countryBit(code: string | undefined): number {
  return code === undefined ? UNKNOWN_COUNTRY : (BIT.get(code) ?? UNKNOWN_COUNTRY)
}

export function countryCode(bit: number): string {
  return COUNTRIES[bit] ?? 'unknown'
}

export function isRegionsVersion(version: number): boolean {
  return LISTS.has(version)
}

/** The date of a list: `2026-11-01`. */
export function listDate(version: number): string {
  return String(version).replace(/(\d{4})(\d{2})(\d{2})/, '$1-$2-$3')
}

/** Names of a list's groups, `WORLD` last. */
export function groupNames(version: number = CURRENT_REGIONS): string[] {
  return [...Object.keys(listOf(version).groups), 'WORLD']
}

export function groupCountries(
  name: string,
  version: number = CURRENT_REGIONS,
): readonly string[] | undefined {
  const { groups, countryCount } = listOf(version)
  if (name === 'WORLD') return COUNTRIES.slice(0, countryCount)
  return Object.hasOwn(groups, name) ? groups[name]?.countries : undefined
}

export function isRegion(name: string, version: number = CURRENT_REGIONS): boolean {
  return BIT.has(name) || groupCountries(name, version) !== undefined
}

/** Expands countries and groups into one set. @throws for an unknown name; check with `isRegion` first */
export function countrySet(
  regions: readonly string[],
  version: number = CURRENT_REGIONS,
): CountrySet {
  let bits = 0n
  for (const region of regions) {
    for (const code of groupCountries(region, version) ?? [region]) {
      const bit = BIT.get(code)
      invariant(bit !== undefined, `unknown region ${code}`)
      bits |= 1n << BigInt(bit)
    }
  }
  return fromBits(bits)
}

export const NO_COUNTRY: CountrySet = `0x${'0'.repeat(64)}`

/** The set of one country; empty for an unknown place. */
export function onlyCountry(bit: number): CountrySet {
  return ONLY[bit] ?? NO_COUNTRY
}

/** Tells whether a set has a country. Reads one hex digit and allocates nothing. */
export function hasCountry(set: CountrySet, bit: number): boolean {
  if (bit < 0 || bit >= UNKNOWN_COUNTRY) return false
  return ((nibbleAt(set, 65 - (bit >> 2)) >> (bit & 3)) & 1) === 1
}

/** Tells whether every country of `inner` is in `outer`. Allocates nothing. */
export function isSubset(inner: CountrySet, outer: CountrySet): boolean {
  for (let at = 2; at < 66; at += 1) {
    if ((nibbleAt(inner, at) & ~nibbleAt(outer, at)) !== 0) return false
  }
  return true
}

export function intersect(a: CountrySet, b: CountrySet): CountrySet {
  return fromBits(BigInt(a) & BigInt(b))
}

export function without(a: CountrySet, b: CountrySet): CountrySet {
  return fromBits(BigInt(a) & ~BigInt(b))
}

export function listCountries(set: CountrySet): string[] {
  return COUNTRIES.filter((_, bit) => hasCountry(set, bit))
}

function fromBits(bits: bigint): CountrySet {
  return `0x${bits.toString(16).padStart(64, '0')}`
}

const ONLY: readonly CountrySet[] = COUNTRIES.map((_, bit) => fromBits(1n << BigInt(bit)))

function listOf(version: number): RegionGroups {
  const list = LISTS.get(version)
  invariant(list !== undefined, `no list of groups ${version}`)
  return list
}

function nibbleAt(set: CountrySet, at: number): number {
  const digit = set.charCodeAt(at)
  return digit < 58 ? digit - 48 : digit - 87
}
