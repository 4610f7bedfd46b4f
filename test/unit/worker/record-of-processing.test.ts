import { describe, expect, it } from 'vitest'
import { compilePolicy } from '#shared/compile-policy.ts'
import { TenantId } from '#shared/ids.ts'
import { countryBit } from '#shared/region.ts'
import { parseCsv } from '../../support/csv.ts'
import { toCsvLine } from '#worker/formats/audit.ts'
import { recordAsCsv, recordOfProcessing, RopaReply } from '#worker/record-of-processing.ts'
import { asPolicy } from '#test/support/as-policy.ts'

const acme = TenantId.parse('acme')
const policy = asPolicy({ id: 'sensors', compute: { allow: ['EEA', 'CH', 'US'] } })
const placed = (country: string, jobs: number) => ({
  policy: 'sensors',
  version: 1,
  country: countryBit(country),
  evidence: 'observed' as const,
  trust: 'verified' as const,
  jobs,
  firstAtMs: 0,
  lastAtMs: 86_400_000,
})
const record = recordOfProcessing(
  {
    policies: [
      {
        policy,
        compiled: compilePolicy(policy, { tenant: acme, version: 2 }),
        publishedAtMs: 0,
        retiredAtMs: null,
      },
    ],
    placements: [placed('DE', 10), placed('CH', 2), placed('US', 1)],
    logSize: 40,
  },
  { tenant: acme, nowMs: 1_800_000_000_000 },
)

describe('the record of processing', () => {
  it('says where jobs went, and on what basis beyond the EEA: none where there is none on record', () => {
    expect(RopaReply.parse(record)).toEqual(record)
    const [activity] = record.activities
    expect(activity?.activity).toBe('sensors@2')
    expect(
      activity?.placements.map(({ country, jobs, transfer }) => [country, jobs, transfer]),
    ).toEqual([
      ['DE', 10, 'inside the EEA'],
      ['CH', 2, 'adequacy decision (Art. 45)'],
      ['US', 1, 'none on record'],
    ])
    expect(activity?.thirdCountryTransfers).toEqual([
      { country: 'CH', basis: 'adequacy decision (Art. 45)' },
      { country: 'US', basis: 'none on record' },
    ])
    expect(activity?.recipients).toContain('verified nodes')
  })

  it('names no public nodes as recipients of personal data that never reaches them', () => {
    const compiled = compilePolicy(policy, { tenant: acme, version: 2 })
    const facts = {
      policies: [{ policy, compiled, publishedAtMs: 0, retiredAtMs: null }],
      placements: [],
      logSize: 1,
    }
    const [activity] = recordOfProcessing(facts, { tenant: acme, nowMs: 0 }).activities
    expect(policy).toMatchObject({ nodeTrust: 'public', personalOnPublicNodes: false })
    expect(activity?.recipients.slice(1)).toEqual(['verified nodes'])
  })

  it('shows a retired policy as ended, and countries in the words of the policy', () => {
    const narrow = asPolicy({ id: 'past', compute: { allow: ['EU'], deny: ['IE'] } })
    const compiled = compilePolicy(narrow, { tenant: acme, version: 1 })
    const policies = [{ policy: narrow, compiled, publishedAtMs: 0, retiredAtMs: 86_400_000 }]
    const facts = { policies, placements: [], logSize: 1 }
    const ended = recordOfProcessing(facts, { tenant: acme, nowMs: 0 })
    expect(ended.activities).toMatchObject([
      { endedAt: '1970-01-02T00:00:00.000Z', allowedIn: 'EU except IE' },
    ])
    expect(recordAsCsv(ended)).toContain('1970-01-02T00:00:00.000Z')
    expect(record.activities).toMatchObject([{ endedAt: null, allowedIn: 'EEA, CH, US' }])
  })

  it('says as CSV what it says as JSON', () => {
    const [head = [], line = [], ...more] = parseCsv(recordAsCsv(record))
    expect(more).toEqual([])
    const cell = (name: string) => line[head.indexOf(name)]
    expect(cell('activity')).toBe('sensors@2')
    expect(cell('computedIn')).toBe(
      'DE 10 jobs (observed); CH 2 jobs (observed); US 1 jobs (observed)',
    )
    expect(cell('thirdCountryTransfers')).toContain('US: none on record')
    expect(cell('retentionDays')).toBe('30')
  })
})

describe('an entry as CSV', () => {
  it('keeps commas, quotes and line ends within its cell', () => {
    const detail = { subject: 'a "b", c\r\nd', policyHash: null, by: null }
    const entry = {
      version: 1 as const,
      sequence: 7,
      atMs: 0,
      type: 'quota.set' as const,
      commitment: `0x${'11'.repeat(32)}` as const,
      opening: { salt: `0x${'22'.repeat(32)}` as const, detail },
    }
    const [cells = []] = parseCsv(toCsvLine(entry))
    expect(cells.slice(0, 4)).toEqual(['7', '1970-01-01T00:00:00.000Z', 'quota.set', ''])
    expect(JSON.parse(cells[4] ?? '')).toEqual(detail)
  })
})
