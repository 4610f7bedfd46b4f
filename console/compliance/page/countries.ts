/** English names of countries and country groups. */
import codes from 'i18n-iso-countries/codes.json' with { type: 'json' }
import en from 'i18n-iso-countries/langs/en.json' with { type: 'json' }
import { describePlaces } from '#shared/law/country-words.ts'
import type { PolicyPlaces } from '#shared/law/policy.ts'
import { COUNTRIES, groupNames } from '#shared/law/region.ts'

const NAMES: Readonly<Record<string, string | readonly string[]>> = en.countries
const NUMERIC = new Map(codes.map(([alpha2 = '', , numeric = '']) => [numeric, alpha2]))

const GROUPS: Readonly<Record<string, string>> = {
  EU: 'European Union',
  EEA: 'European Economic Area',
  ADEQUATE: 'Adequate under GDPR Art. 45',
  US_ALL: 'United States with its territories',
  WORLD: 'Every country',
}

/** Gives `Germany`, or the code itself for a country without a name. */
export function countryName(code: string): string {
  const known = Object.hasOwn(NAMES, code) ? NAMES[code] : undefined
  return (typeof known === 'string' ? known : known?.[0]) ?? code
}

/** Gives `European Economic Area (EEA)` or `Germany (DE)`. */
export function regionLabel(name: string): string {
  const long = GROUPS[name] ?? countryName(name)
  return long === name ? name : `${long} (${name})`
}

/** Finds the code for a code, group or name. Gives unknown text back in capitals; the server refuses it. */
export function regionCode(text: string): string {
  const wanted = text.trim()
  const inBrackets = /\(([A-Z_]{2,12})\)$/.exec(wanted)?.[1]
  const upper = wanted.toUpperCase()
  if (inBrackets !== undefined) return inBrackets
  if (COUNTRIES.includes(upper) || groupNames().includes(upper)) return upper
  const lower = wanted.toLowerCase()
  return (
    COUNTRIES.find((code) => namesOf(code).some((name) => name.toLowerCase() === lower)) ?? upper
  )
}

/** Lists groups first, then countries by name. */
export function allRegions(): readonly string[] {
  return [...groupNames(), ...byName(COUNTRIES)]
}

export function byName(list: readonly string[]): string[] {
  return list.toSorted((a, b) => countryName(a).localeCompare(countryName(b), 'en'))
}

/** Gives `Austria, Belgium and 25 more`: at most `atMost` names, in order of name. */
export function nameList(list: readonly string[], atMost = 8): string {
  if (list.length === 0) return 'no country'
  const names = byName(list).map(countryName)
  if (names.length <= atMost) return names.join(', ')
  return `${names.slice(0, atMost).join(', ')} and ${names.length - atMost} more`
}

/** Gives `European Union (EU) except Ireland (IE)`: groups stay groups. */
export function placesLabel(places: PolicyPlaces): string {
  return describePlaces(places, regionLabel)
}

/** Finds a country code by the ISO 3166-1 numeric id of a shape. */
export function alpha2(numeric: string | number | undefined): string | undefined {
  return numeric === undefined ? undefined : NUMERIC.get(String(numeric).padStart(3, '0'))
}

function namesOf(code: string): readonly string[] {
  const known = NAMES[code]
  return known === undefined ? [] : typeof known === 'string' ? [known] : known
}
