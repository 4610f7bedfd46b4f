/** Random policies and nodes for property tests, and a plain policy for the rest. */
import fc from 'fast-check'
import type { z } from 'zod'
import { TenantId } from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  NODE_TRUSTS,
  type CompiledPolicy,
  type PolicyDraft,
} from '#shared/law/policy.ts'
import { CURRENT_REGIONS, REGION_LISTS } from '#shared/law/region-groups.ts'
import { COUNTRIES, countrySet, groupNames } from '#shared/law/region.ts'
import { asPolicy } from './as-policy.ts'

export const TENANT = TenantId.parse('acme')

export function compiled(
  policy: Omit<z.input<typeof PolicyDraft>, 'id'> & { readonly id?: string },
  tenant: TenantId = TENANT,
): CompiledPolicy {
  const parsed = asPolicy({ id: 'test', dataClass: 'public', ...policy })
  return compilePolicy(parsed, { tenant, version: 1 })
}

export const region = fc.oneof(fc.constantFrom(...COUNTRIES), fc.constantFrom(...groupNames()))

export const policy = fc
  .record({
    allow: fc.array(region, { minLength: 1, maxLength: 6 }),
    deny: fc.array(region, { maxLength: 3 }),
    minEvidence: fc.constantFrom('declared', 'observed', 'bounded', 'attested' as const),
    dataClass: fc.constantFrom(...DATA_CLASSES),
    personalOnPublicNodes: fc.boolean(),
    nodeTrust: fc.constantFrom(...NODE_TRUSTS),
    vouchers: fc.subarray(['own', 'operator', 'anyone', 'tenant:other'], { minLength: 1 }),
    network: fc.constantFrom(null, null, 'clinics', 'harbours'),
    verification: fc.constantFrom('none', 'none', 'none', 'replicated' as const),
    regions: fc.constantFrom(CURRENT_REGIONS, ...REGION_LISTS.map(({ version }) => version)),
  })
  .map(({ allow, deny, ...rest }) =>
    compiled({ ...rest, compute: { allow, deny } } as Parameters<typeof compiled>[0]),
  )

export const networks = fc.subarray(['clinics', 'harbours'])

export const facts: fc.Arbitrary<NodeFacts> = fc.record({
  country: fc.oneof(fc.nat(COUNTRIES.length - 1), fc.constant(255)),
  possible: fc.array(region, { maxLength: 3 }).map((regions) => countrySet(regions)),
  networks,
  evidence: fc.constantFrom(...EVIDENCE_CLASSES),
  trust: fc.constantFrom(...NODE_TRUSTS),
  voucher: fc.constantFrom(null, 'acme', 'operator', 'other'),
  quarantined: fc.boolean(),
})
