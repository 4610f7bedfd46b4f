import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePolicy, effectiveCompute, policyHash } from '#shared/law/compile-policy.ts'
import { decide, decideIngress, type NodeFacts } from '#shared/law/decide.ts'
import { DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import { EVIDENCE_CLASSES, NODE_TRUSTS, PolicyDraft } from '#shared/law/policy.ts'
import {
  COUNTRIES,
  countryBit,
  groupCountries,
  hasCountry,
  onlyCountry,
  UNKNOWN_COUNTRY,
} from '#shared/law/region.ts'
import { compiled, facts, policy, region, TENANT } from '#test/support/hub/policies.ts'

const german: NodeFacts = {
  country: countryBit('DE'),
  evidence: 'observed',
  possible: onlyCountry(countryBit('DE')),
  trust: 'public',
  voucher: 'operator',
  networks: [],
  quarantined: false,
}

describe('a residency decision', () => {
  it('[R1] allows a node inside the policy and names compute.allow for one outside', () => {
    const eu = compiled({ compute: { allow: ['EU'], deny: [] } })
    expect(decide(eu, eu.compute, german)).toBe('allow')
    expect(decide(eu, eu.compute, { ...german, country: countryBit('US') })).toBe('compute.allow')
  })

  it('[R2] lets deny win over allow', () => {
    const notHungary = compiled({ compute: { allow: ['EU'], deny: ['HU'] } })
    expect(decide(notHungary, notHungary.compute, { ...german, country: countryBit('HU') })).toBe(
      'compute.allow',
    )
  })

  it('[R3] never allows an unknown place, whatever the policy', () => {
    fc.assert(
      fc.property(policy, facts, (p, f) => {
        expect(decide(p, p.compute, { ...f, country: UNKNOWN_COUNTRY })).not.toBe('allow')
      }),
    )
  })

  it('[R4] can only be narrowed by a request, never widened', () => {
    fc.assert(
      fc.property(policy, facts, fc.array(region, { minLength: 1, maxLength: 4 }), (p, f, to) => {
        const narrowed = effectiveCompute(p, to)
        if (decide(p, narrowed, f) === 'allow') expect(decide(p, p.compute, f)).toBe('allow')
      }),
    )
  })

  it('[R5] ignores an effective set that is wider than the policy', () => {
    fc.assert(
      fc.property(policy, facts, (p, f) => {
        const everything = compiled({ compute: { allow: ['WORLD'], deny: [] } }).compute
        if (!hasCountry(p.compute, f.country)) expect(decide(p, everything, f)).not.toBe('allow')
      }),
    )
  })

  it('[R6] keeps phi on dedicated nodes and special data off public ones, opt-in or not', () => {
    fc.assert(
      fc.property(policy, facts, (p, f) => {
        if (decide(p, p.compute, f) !== 'allow') return
        if (p.dataClass === 'phi') expect(f.trust).toBe('dedicated')
        if (p.dataClass === 'special') expect(f.trust).not.toBe('public')
        if (p.dataClass === 'personal' && f.trust === 'public') {
          expect(p.personalOnPublicNodes).toBe(true)
        }
      }),
    )
  })

  it('[R7] is monotone: better evidence or more trust never turns an allow into a refusal', () => {
    fc.assert(
      fc.property(policy, facts, (p, f) => {
        if (decide(p, p.compute, f) !== 'allow') return
        for (const evidence of EVIDENCE_CLASSES.slice(EVIDENCE_CLASSES.indexOf(f.evidence))) {
          for (const trust of NODE_TRUSTS.slice(NODE_TRUSTS.indexOf(f.trust))) {
            expect(decide(p, p.compute, { ...f, evidence, trust })).toBe('allow')
          }
        }
      }),
    )
  })

  it('refuses quarantined and contradicted nodes before anything else', () => {
    fc.assert(
      fc.property(policy, facts, (p, f) => {
        expect(decide(p, p.compute, { ...f, quarantined: true })).toBe('node.quarantined')
        const contradicted = { ...f, quarantined: false, evidence: 'contradicted' as const }
        expect(decide(p, p.compute, contradicted)).toBe('evidence.contradicted')
      }),
    )
  })

  it('compiles regions to the countries that they name', () => {
    fc.assert(
      fc.property(
        fc.array(region, { minLength: 1, maxLength: 5 }),
        fc.array(region, { maxLength: 3 }),
        fc.constantFrom(...COUNTRIES),
        (allow, deny, code) => {
          const names = (list: readonly string[]) =>
            list.flatMap((name) => groupCountries(name) ?? [name])
          const expected = names(allow).includes(code) && !names(deny).includes(code)
          expect(hasCountry(compiled({ compute: { allow, deny } }).compute, countryBit(code))).toBe(
            expected,
          )
        },
      ),
    )
  })
})

describe('a policy', () => {
  it('starts a tenant as personal data, kept from public nodes, in the EEA', () => {
    const start = compilePolicy(DEFAULT_POLICY, { tenant: TENANT, version: 1 })
    const verified = { ...german, trust: 'verified' } as const
    const american = { ...verified, country: countryBit('US') }
    expect(decide(start, start.compute, german)).toBe('data_class.personal')
    expect(decide(start, start.compute, verified)).toBe('allow')
    expect(decide(start, start.compute, american)).toBe('compute.allow')
  })

  it('refuses a region that does not exist, by its name', () => {
    const parsed = PolicyDraft.safeParse({ id: 'x', compute: { allow: ['EU', 'ZZ'] } })
    expect(parsed.success).toBe(false)
    expect(parsed.error?.issues[0]?.path).toEqual(['compute', 'allow', 1])
  })

  it('has a hash that changes with each of its fields', () => {
    const base = compiled({ ingress: { allow: ['WORLD'] }, compute: { allow: ['EU'] } })
    const others = [
      { ...base, version: 2 },
      { ...base, compute: base.ingress },
      { ...base, ingress: base.compute },
      { ...base, dataClass: 'phi' as const },
      { ...base, minEvidence: 'attested' as const },
      { ...base, personalOnPublicNodes: true },
      { ...base, retentionDays: 31 },
      { ...base, nodeTrust: 'dedicated' as const },
      { ...base, storage: 'eu' as const },
      { ...base, id: 'other' },
      { ...base, verification: 'replicated' as const },
      { ...base, network: 'clinics' },
      { ...base, network: 'harbours' },
      { ...base, regions: 20251231 },
      { ...base, vouchers: ['own'] },
    ]
    const hashes = new Set([base, ...others].map((fields) => policyHash(fields)))
    expect(hashes.size).toBe(others.length + 1)
  })

  it('[R19] treats a node as public when its voucher does not count', () => {
    const personal = (vouchers?: string[]) =>
      compiled({ compute: { allow: ['EU'] }, dataClass: 'personal', vouchers })
    const judge = (voucher: string | null, vouchers?: string[]) => {
      const policy = personal(vouchers)
      return decide(policy, policy.compute, { ...german, trust: 'verified', voucher })
    }
    expect([judge(TENANT), judge('operator')]).toEqual(['allow', 'allow'])
    expect([judge('other'), judge(null)]).toEqual(['data_class.personal', 'data_class.personal'])
    expect(judge('operator', ['own'])).toBe('data_class.personal')
    expect(judge(TENANT, ['operator'])).toBe('data_class.personal')
    expect(judge('other', ['tenant:other'])).toBe('allow')
    expect(judge('her', ['tenant:other'])).toBe('data_class.personal')
    expect(judge('tenant:other', ['tenant:other'])).toBe('data_class.personal')
    expect(judge('own', ['own'])).toBe('data_class.personal')
    expect(judge('other', ['anyone'])).toBe('allow')
    expect(judge(null, ['anyone'])).toBe('data_class.personal')
  })

  it('decides ingress by the country where TLS ends and refuses an unknown one', () => {
    const eu = compiled({ ingress: { allow: ['EU'] }, compute: { allow: ['EU'], deny: [] } })
    expect(decideIngress(eu, countryBit('FR'))).toBe('allow')
    expect(decideIngress(eu, countryBit('US'))).toBe('ingress.allow')
    expect(decideIngress(eu, UNKNOWN_COUNTRY)).toBe('ingress.allow')
    const world = compiled({ compute: { allow: ['WORLD'], deny: [] } })
    expect(decideIngress(world, UNKNOWN_COUNTRY)).toBe('ingress.allow')
  })
})
