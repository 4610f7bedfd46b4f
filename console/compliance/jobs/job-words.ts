/** Describes where a job ran. */
import type { Place } from '#shared/receipt/receipt.ts'
import { countryCode } from '#shared/law/region.ts'
import { countryName } from '../page/countries.ts'

/** Gives `Germany, observed (simulated), on a verified node`. */
export function describePlace({ country, evidence, source, trust }: Place): string {
  return `${countryName(countryCode(country))}, ${evidence} (${source}), on a ${trust} node`
}
