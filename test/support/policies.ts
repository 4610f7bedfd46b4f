/** Random policies and nodes for property tests, and a plain one for the rest. */
import fc from 'fast-check'
import { TenantId } from '#shared/ids.ts'
import {
  compilePolicy,
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  NODE_TRUSTS,
  Policy,
  type CompiledPolicy,
  type NodeFacts,
} from '#shared/policy.ts'
import { COUNTRIES, GROUPS } from '#shared/region.ts'

export const TENANT = TenantId.parse('acme')

export function compiled(
  policy: Partial<Policy> & Pick<Policy, 'compute'>,
  tenant: TenantId = TENANT,
): CompiledPolicy {
  const parsed = Policy.parse({ id: 'test', dataClass: 'public', ...policy })
  return compilePolicy(parsed, { tenant, version: 1 })
}

export const region = fc.oneof(
  fc.constantFrom(...COUNTRIES),
  fc.constantFrom(...Object.keys(GROUPS)),
)

export const policy = fc
  .record({
    allow: fc.array(region, { minLength: 1, maxLength: 6 }),
    deny: fc.array(region, { maxLength: 3 }),
    minEvidence: fc.constantFrom('declared', 'observed', 'bounded', 'attested' as const),
    dataClass: fc.constantFrom(...DATA_CLASSES),
    personalOnPublicNodes: fc.boolean(),
    nodeTrust: fc.constantFrom(...NODE_TRUSTS),
  })
  .map(({ allow, deny, ...rest }) =>
    compiled({ ...rest, compute: { allow, deny } } as Parameters<typeof compiled>[0]),
  )

export const facts: fc.Arbitrary<NodeFacts> = fc.record({
  country: fc.oneof(fc.nat(COUNTRIES.length - 1), fc.constant(255)),
  evidence: fc.constantFrom(...EVIDENCE_CLASSES),
  trust: fc.constantFrom(...NODE_TRUSTS),
  quarantined: fc.boolean(),
})
