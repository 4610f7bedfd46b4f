/** Defaults of policy drafts, and names of country sets. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nameCountries } from '#shared/law/country-words.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { Policy, PolicyDraft } from '#shared/law/policy.ts'
import { assumptions, completePolicy, DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import { policyFaults } from '#shared/law/policy-faults.ts'
import { countrySet, groupCountries, groupNames, isSubset, without } from '#shared/law/region.ts'
import { groupFacts, groupNotes } from '#shared/law/region-notes.ts'
import { region, TENANT } from '#test/support/hub/policies.ts'

const draft = (fields: object) =>
  PolicyDraft.parse({ id: 'x', compute: { allow: ['EU'], deny: ['IE'] }, ...fields })

describe('a policy draft with omitted fields', () => {
  it('lets requests enter only where it lets jobs be computed', () => {
    fc.assert(
      fc.property(
        fc.array(region, { minLength: 1, maxLength: 4 }),
        fc.array(region, { maxLength: 3 }),
        (allow, deny) => {
          const policy = completePolicy(draft({ compute: { allow, deny } }))
          const { ingress, compute } = compilePolicy(policy, { tenant: TENANT, version: 1 })
          expect(ingress).toBe(compute)
        },
      ),
    )
    expect(DEFAULT_POLICY.ingress).toEqual(DEFAULT_POLICY.compute)
  })

  it('keeps records where the tenant’s are', () => {
    expect(completePolicy(draft({}), 'eu').storage).toBe('eu')
    expect(completePolicy(draft({ storage: 'us' }), 'eu').storage).toBe('us')
  })

  it('says what each omitted field means, and nothing about the others', () => {
    const policy = completePolicy(draft({}))
    const { id: _, compute: __, ...pins } = Policy.shape
    const told = assumptions({ id: 'x', compute: policy.compute }, policy)
    expect(told.map(({ pointer }) => pointer.slice(1)).toSorted()).toEqual(
      Object.keys(pins).toSorted(),
    )
    expect(told.find(({ pointer }) => pointer === '/ingress')?.means).toContain('EU except IE')
    expect(assumptions(policy, policy)).toEqual([])
  })

  it('is refused when its ingress is empty', () => {
    const policy = completePolicy(draft({ ingress: { allow: ['DE'], deny: ['EU'] } }))
    expect(policyFaults(policy)).toMatchObject([{ pointer: '/ingress/deny' }])
  })
})

describe('a set of countries', () => {
  it.each([
    [['EU'], ['IE'], 'EU except IE'],
    [['EEA', 'CH'], [], 'EEA, CH'],
    [['WORLD'], ['US', 'CN'], 'WORLD except CN, US'],
    [['DE', 'AT'], [], 'AT, DE'],
    [['US_ALL'], [], 'US_ALL'],
  ])('%j less %j is called %s', (allow, deny, words) => {
    expect(nameCountries(without(countrySet(allow), countrySet(deny)))).toBe(words)
  })

  it('never gets a name that means another set', () => {
    fc.assert(
      fc.property(fc.array(region, { minLength: 1, maxLength: 40 }), (allow) => {
        const set = countrySet(allow)
        const words = nameCountries(set)
        if (words.includes('…')) return
        const [named = '', taken = ''] = words.split(' except ')
        const list = (text: string) => countrySet(text === '' ? [] : text.split(', '))
        expect(without(list(named), list(taken))).toBe(set)
      }),
    )
  })
})

describe('groups', () => {
  it('are shown with their source and date', () => {
    const groups = groupFacts()
    expect(groups.map(({ name }) => name)).toEqual(groupNames())
    for (const { name, source, asOf, countries } of groups) {
      expect(source).toMatch(/^https:/)
      expect(asOf).toBe('2026-11-01')
      expect(countries).toEqual(groupCountries(name))
    }
  })

  it('have notes on the parts of the EU with codes of their own, and on GB', () => {
    const outermost = ['GP', 'RE', 'GF', 'MQ', 'YT', 'MF', 'AX']
    const notes = (...allow: string[]) => groupNotes(completePolicy(draft({ compute: { allow } })))
    for (const group of ['EU', 'EEA', 'ADEQUATE']) {
      for (const code of outermost) {
        expect(isSubset(countrySet([code]), countrySet([group]))).toBe(false)
        expect(notes(group).join()).toContain(code)
      }
    }
    expect(notes('ADEQUATE').join()).toContain('GB')
    expect(notes('DE')).toEqual([])
  })
})
