/** Finds contradictions in policies that parse, each with the field to change. Pure. */
import type { FieldFault } from '#shared/base/errors.ts'
import type { Policy } from './policy.ts'
import { placeSet } from './compile-policy.ts'
import { nameCountries } from './country-words.ts'
import { countrySet, isRegion, NO_COUNTRY } from './region.ts'

/** Empty for a policy that can be published. */
export function policyFaults(policy: Policy): FieldFault[] {
  const unknown = unknownGroups(policy)
  if (unknown.length > 0) return unknown
  return [
    ...emptyPlaces(policy, 'compute'),
    ...emptyPlaces(policy, 'ingress'),
    ...trustFaults(policy),
  ]
}

/** Finds groups that today's list has, and that the older list which the policy names lacks. */
function unknownGroups({ ingress, compute, regions }: Policy): FieldFault[] {
  const lists = Object.entries({
    '/ingress/allow': ingress.allow,
    '/ingress/deny': ingress.deny,
    '/compute/allow': compute.allow,
    '/compute/deny': compute.deny,
  })
  return lists.flatMap(([pointer, names]) =>
    [...names.entries()]
      .filter(([, name]) => !isRegion(name, regions))
      .map(([index, name]) => ({
        pointer: `${pointer}/${index}`,
        detail: `"${name}" is not a group of list ${regions}; name its countries, or a newer list in /regions`,
      })),
  )
}

function emptyPlaces(policy: Policy, field: 'compute' | 'ingress'): FieldFault[] {
  const { [field]: places, regions } = policy
  if (placeSet(places, regions) !== NO_COUNTRY) return []
  const named = nameCountries(countrySet(places.allow, regions))
  const never = field === 'compute' ? 'no node could ever run a job' : 'no request could ever enter'
  const detail = `removes all that /${field}/allow names (${named}), so ${never}; take a country out of deny or add one to allow`
  return [{ pointer: `/${field}/deny`, detail }]
}

function trustFaults(policy: Policy): FieldFault[] {
  const { personalOnPublicNodes, dataClass, nodeTrust, vouchers } = policy
  const faults: FieldFault[] = []
  if (personalOnPublicNodes && (dataClass === 'special' || dataClass === 'phi'))
    faults.push({
      pointer: '/personalOnPublicNodes',
      detail: `opens nothing for ${dataClass} data, which public nodes never get; leave it out, or set /dataClass to "personal"`,
    })
  if (dataClass === 'phi' && nodeTrust !== 'dedicated')
    faults.push({
      pointer: '/nodeTrust',
      detail: `is "${nodeTrust}", and phi runs on dedicated nodes only; set it to "dedicated"`,
    })
  // Only the operator can make a node dedicated.
  const isDedicated = dataClass === 'phi' || nodeTrust === 'dedicated'
  if (isDedicated && !vouchers.includes('operator') && !vouchers.includes('anyone'))
    faults.push({
      pointer: '/vouchers',
      detail: 'leaves out the operator, who alone makes nodes dedicated; add "operator"',
    })
  return faults
}
