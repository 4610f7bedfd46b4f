/** English country names from the ISO 3166 library's table, for texts that people read; no decision uses them. */
import en from 'i18n-iso-countries/langs/en.json' with { type: 'json' }

const NAMES: Readonly<Record<string, string | readonly string[]>> = en.countries

/** `Germany (DE)`; a code without a name stays as it is. */
export function countryLabel(code: string): string {
  const known = Object.hasOwn(NAMES, code) ? NAMES[code] : undefined
  const name = typeof known === 'string' ? known : known?.[0]
  return name === undefined ? code : `${name} (${code})`
}
