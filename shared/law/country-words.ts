/** Describes country sets by groups: "EU except IE" rather than "26 countries". Pure. */
import { groupCountries, groupNames, listCountries, NO_COUNTRY, type CountrySet } from './region.ts'

/** A sentence names at most this many countries; of more it gives the number. */
const NAMED_COUNTRIES = 12

/** A list of regions as its author wrote it: `EU, CH except IE`. */
export function describePlaces(
  { allow, deny }: { readonly allow: readonly string[]; readonly deny: readonly string[] },
  label: (region: string) => string = (region) => region,
): string {
  const named = allow.map(label).join(', ')
  return deny.length === 0 ? named : `${named} except ${deny.map(label).join(', ')}`
}

/** `AT, DE`, `EU except IE`, or how many there are. */
export function nameCountries(set: CountrySet): string {
  if (set === NO_COUNTRY) return 'no country at all'
  const codes = listCountries(set)
  const group = nearestGroup(codes)
  if (group !== undefined && (codes.length > NAMED_COUNTRIES || group.steps === 0)) {
    return group.words
  }
  if (codes.length <= NAMED_COUNTRIES) return codes.join(', ')
  return `${codes.length} countries (${codes.slice(0, NAMED_COUNTRIES).join(', ')}, …)`
}

/** The group that needs the fewest additions and removals; undefined when those would be too many to name. */
function nearestGroup(codes: readonly string[]): { words: string; steps: number } | undefined {
  const wanted = new Set(codes)
  const candidates = groupNames().map((name) => {
    const members = new Set(groupCountries(name))
    const allow = [name, ...codes.filter((code) => !members.has(code))]
    const deny = [...members].filter((code) => !wanted.has(code))
    return { words: describePlaces({ allow, deny }), steps: allow.length - 1 + deny.length }
  })
  const [nearest] = candidates.toSorted((a, b) => a.steps - b.steps)
  return nearest !== undefined && nearest.steps <= NAMED_COUNTRIES ? nearest : undefined
}
