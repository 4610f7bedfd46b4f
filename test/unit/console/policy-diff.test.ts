import { describe, expect, it } from 'vitest'
import { Policy } from '#shared/law/policy.ts'
import { POLICY_FIELDS } from '../../../console/compliance/policies/policy-fields.ts'
import {
  diffPolicies,
  isSame,
  showField,
} from '../../../console/compliance/policies/policy-diff.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

const base = asPolicy({ id: 'eu', compute: { allow: ['EU', 'CH'] } })

describe('a field in words', () => {
  const trust = POLICY_FIELDS.find(({ pointer }) => pointer === '/nodeTrust')
  const shown = (policy: Policy) => trust && showField(trust, policy)

  it('is the trust that applies, with the written one where that is lower', () => {
    const personal = { ...base, dataClass: 'personal' as const }
    expect(shown(personal)).toBe('verified, since the data is personal (written: public)')
    expect(shown({ ...personal, nodeTrust: 'verified' })).toBe('verified')
    expect(shown({ ...personal, personalOnPublicNodes: true })).toBe('public')
  })
})

describe('the difference of two versions', () => {
  it('is nothing for a policy and itself', () => {
    expect(isSame(diffPolicies(base, base))).toBe(true)
  })

  it('names countries that a change of groups adds and takes away', () => {
    const next = { ...base, compute: { allow: ['EEA', 'CH'], deny: ['HU'] } }
    const { compute, ingress, fields } = diffPolicies(base, next)
    expect(compute).toEqual({ added: ['IS', 'LI', 'NO'], removed: ['HU'] })
    expect(ingress).toEqual({ added: [], removed: [] })
    expect(fields.map(({ pointer }) => pointer)).toEqual(['/compute/allow', '/compute/deny'])
  })

  it('shows fields that allow the same countries in other words', () => {
    const next = { ...base, compute: { allow: ['CH', 'EU'], deny: [] } }
    const { compute, fields } = diffPolicies(base, next)
    expect(compute).toEqual({ added: [], removed: [] })
    expect(fields).toEqual([
      {
        label: 'Jobs may run in',
        pointer: '/compute/allow',
        from: 'European Union (EU), Switzerland (CH)',
        to: 'Switzerland (CH), European Union (EU)',
      },
    ])
  })

  it('shows what a newer list of groups changes for the same words', () => {
    const words = { compute: { allow: ['ADEQUATE'], deny: [] } }
    const { compute, fields } = diffPolicies(
      { ...base, ...words, regions: 20251231 },
      { ...base, ...words, regions: 20261101 },
    )
    expect(compute).toEqual({ added: ['BR'], removed: [] })
    expect(fields).toMatchObject([{ pointer: '/regions', from: '2025-12-31', to: '2026-11-01' }])
  })

  it('covers every field that a policy has', () => {
    const other = asPolicy({
      id: 'eu',
      ingress: { allow: ['DE'] },
      compute: { allow: ['FR'], deny: ['DE'] },
      storage: 'eu',
      minEvidence: 'bounded',
      dataClass: 'phi',
      personalOnPublicNodes: true,
      nodeTrust: 'dedicated',
      vouchers: ['operator'],
      verification: 'replicated',
      network: 'clinics',
      retentionDays: 7,
      regions: 20251231,
    })
    const changed = diffPolicies(base, other).fields.map(({ pointer }) => pointer.split('/')[1])
    const { id: _, ...fields } = Policy.shape
    expect(new Set(changed)).toEqual(new Set(Object.keys(fields)))
  })
})
