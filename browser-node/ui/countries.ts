/** Country names in the reader's language. */
import { COUNTRIES } from '#shared/law/region.ts'

/** Gives the name, or the code itself where the browser has no name. */
export function countryName(code: string): string {
  try {
    return new Intl.DisplayNames([navigator.language, 'en'], { type: 'region' }).of(code) ?? code
  } catch {
    return code
  }
}

/** Fills the select with all countries, sorted by name, after one empty option. */
export function fillCountries(select: HTMLSelectElement): void {
  const collator = new Intl.Collator(navigator.language)
  const options = COUNTRIES.map((code) => ({ code, name: countryName(code) }))
  options.sort((a, b) => collator.compare(a.name, b.name))
  select.replaceChildren(
    new Option('Choose a country', '', true, true),
    ...options.map(({ code, name }) => new Option(name, code)),
  )
}
