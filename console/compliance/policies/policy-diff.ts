/** Compares two versions of a policy by field and by country. Pure. */
import { effectiveTrust } from '#shared/law/explain.ts'
import type { Policy } from '#shared/law/policy.ts'
import { placeSet } from '#shared/law/compile-policy.ts'
import { listCountries, listDate, without, type CountrySet } from '#shared/law/region.ts'
import { regionLabel } from '../page/countries.ts'
import { POLICY_FIELDS, textOf, valueAt, type PolicyField } from './policy-fields.ts'

export interface FieldChange {
  readonly label: string
  readonly pointer: string
  readonly from: string
  readonly to: string
}

export type PolicyDiff = ReturnType<typeof diffPolicies>

export function diffPolicies(from: Policy, to: Policy) {
  const fields = POLICY_FIELDS.flatMap((field): FieldChange[] => {
    const [before, after] = [showField(field, from), showField(field, to)]
    const { label, pointer } = field
    return before === after ? [] : [{ label, pointer, from: before, to: after }]
  })
  return {
    fields,
    /** Changes of the countries where jobs may run. */
    compute: setChange(computeSet(from), computeSet(to)),
    /** Changes of the countries where requests may enter. */
    ingress: setChange(ingressSet(from), ingressSet(to)),
  }
}

export function isSame({ fields, compute, ingress }: PolicyDiff): boolean {
  const sets = [compute.added, compute.removed, ingress.added, ingress.removed]
  return fields.length === 0 && sets.every((set) => set.length === 0)
}

/** Describes the value of a field. */
export function showField({ pointer, kind }: PolicyField, policy: Policy): string {
  if (pointer === '/nodeTrust') return effectiveTrust(policy)
  const value = valueAt(policy, pointer)
  if (kind === 'names' && Array.isArray(value)) return value.map(textOf).join(', ')
  if (Array.isArray(value)) {
    return value.length === 0 ? 'none' : value.map((name) => regionLabel(String(name))).join(', ')
  }
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (value === null || value === undefined) return 'any'
  if (kind === 'days') return `${Number(value)} days`
  if (pointer === '/regions') return listDate(Number(value))
  return textOf(value)
}

/** Gives the countries where jobs may run, without the denied ones. */
export function computeCountries(policy: Policy): string[] {
  return listCountries(computeSet(policy))
}

function computeSet({ compute, regions }: Policy): CountrySet {
  return placeSet(compute, regions)
}

function ingressSet({ ingress, regions }: Policy): CountrySet {
  return placeSet(ingress, regions)
}

function setChange(from: CountrySet, to: CountrySet) {
  return { added: listCountries(without(to, from)), removed: listCountries(without(from, to)) }
}
