/**
 * Named groups of countries in dated lists. A policy records the list that it was compiled with, so a published list is
 * never edited. A change of law is a new list at the end; old lists stay for the policies that name them.
 */

export interface RegionGroup {
  /** ISO 3166-1 alpha-2. */
  readonly countries: readonly string[]
  readonly source: string
}

export interface RegionGroups {
  /** The date from which the list holds, as a number: 20261101 is 2026-11-01. */
  readonly version: number
  /** Size of the bit table at that date, so that `WORLD` of an old list does not grow. */
  readonly countryCount: number
  readonly groups: Readonly<Record<string, RegionGroup>>
}

const EU = 'AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK'
const EEA = `${EU} IS LI NO`

/**
 * Countries with an adequacy decision for the whole country. This omits the United States (certified organisations only)
 * and Canada (commercial ones only), because a country bit cannot carry that condition.
 */
const ADEQUATE_2025 = `${EEA} AD AR CH FO GB GG IL IM JE JP KR NZ UY`
/** Brazil: Implementing Decision (EU) 2026/179 of 26 January 2026. */
const ADEQUATE_2026 = `${ADEQUATE_2025} BR`

const SOURCES = {
  EU: 'https://european-union.europa.eu/principles-countries-history/eu-countries_en',
  EEA: 'https://www.efta.int/eea',
  ADEQUATE:
    'https://commission.europa.eu/law/law-topic/data-protection/international-dimension-data-protection/adequacy-decisions_en',
  US_ALL: 'https://www.iso.org/obp/ui/#iso:code:3166:US',
}

/** The United States with the territories that have codes of their own. */
const US_ALL = 'US AS GU MP PR UM VI'

/** The list that policies are compiled with by default. */
export const CURRENT_REGIONS = 20261101

/** Oldest first. */
export const REGION_LISTS: readonly RegionGroups[] = [
  {
    version: 20251231,
    countryCount: 249,
    groups: groups({ EU, EEA, ADEQUATE: ADEQUATE_2025, US_ALL }),
  },
  {
    version: 20261101,
    countryCount: 249,
    groups: groups({ EU, EEA, ADEQUATE: ADEQUATE_2026, US_ALL }),
  },
]

function groups(
  codes: Readonly<Record<keyof typeof SOURCES, string>>,
): Record<string, RegionGroup> {
  return Object.fromEntries(
    Object.entries(codes).map(([name, list]) => [
      name,
      { countries: list.split(' '), source: SOURCES[name as keyof typeof SOURCES] },
    ]),
  )
}
