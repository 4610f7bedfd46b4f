/** Countries by their names in the reader's language. */
import { COUNTRIES } from '#shared/law/region.ts'

/** The name, or the code itself where the browser knows none. */
export function countryName(code: string, language: string = navigator.language): string {
  try {
    return new Intl.DisplayNames([language, 'en'], { type: 'region' }).of(code) ?? code
  } catch {
    return code
  }
}

/** Fills the select with every country, sorted by name, below one empty choice. */
export function fillCountries(select: HTMLSelectElement, language: string): void {
  const names = new Intl.DisplayNames([language, 'en'], { type: 'region' })
  const collator = new Intl.Collator(language)
  const options = COUNTRIES.map((code) => ({ code, name: names.of(code) ?? code }))
  options.sort((a, b) => collator.compare(a.name, b.name))
  select.replaceChildren(
    new Option('Choose a country', '', true, true),
    ...options.map(({ code, name }) => new Option(name, code)),
  )
}
