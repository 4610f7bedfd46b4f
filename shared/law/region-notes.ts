/** Notes on what a group's name does not say, shown with the group and with policies that name it. Pure. */
import type { Policy } from './policy.ts'
import { CURRENT_REGIONS, REGION_LISTS } from './region-groups.ts'
import { COUNTRIES, groupNames, listDate } from './region.ts'

/** Parts of the European Union with country codes of their own; no member state's code includes them. */
const OUTERMOST = 'GP, RE, GF, MQ, YT, MF and AX'

const EU_LEAVES_OUT = (group: string) =>
  `${group} leaves out ${OUTERMOST}: they belong to the European Union and have codes of their own, so name them to allow or to deny them`

const NOTES: Readonly<Record<string, readonly string[]>> = {
  EU: [EU_LEAVES_OUT('EU')],
  EEA: [EU_LEAVES_OUT('EEA')],
  ADEQUATE: [
    'ADEQUATE holds GB: its adequacy decisions, renewed on 19 December 2025, end on 27 December 2031 unless they are renewed again',
    'ADEQUATE leaves out US and CA: their decisions cover only some organisations, which a country cannot say',
    EU_LEAVES_OUT('ADEQUATE'),
  ],
  US_ALL: ['US_ALL holds AS, GU, MP, PR, UM and VI, which US alone does not'],
  WORLD: ['WORLD holds every country of the table, and no place that is unknown'],
}

const WORLD_SOURCE = 'https://www.iso.org/obp/ui/#search'

export interface GroupFacts {
  readonly name: string
  /** The list's date: `2026-11-01`. */
  readonly asOf: string
  readonly source: string
  readonly countries: readonly string[]
  readonly notes: readonly string[]
}

export function groupFacts(version: number = CURRENT_REGIONS): GroupFacts[] {
  const list = REGION_LISTS.find((each) => each.version === version)
  return groupNames(version).map((name) => ({
    name,
    asOf: listDate(version),
    source: list?.groups[name]?.source ?? WORLD_SOURCE,
    countries: list?.groups[name]?.countries ?? COUNTRIES.slice(0, list?.countryCount),
    notes: NOTES[name] ?? [],
  }))
}

/** Notes on the groups that this policy names, for whoever publishes it. */
export function groupNotes({ ingress, compute }: Pick<Policy, 'ingress' | 'compute'>): string[] {
  const named = [ingress.allow, ingress.deny, compute.allow, compute.deny].flat()
  return [...new Set(named)].flatMap((name) => (name === 'WORLD' ? [] : (NOTES[name] ?? [])))
}
