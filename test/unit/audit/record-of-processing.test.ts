import { admissionOf, placementOf } from '#shared/audit/receipt.ts'
import type { LogEntry } from '#shared/audit/entries.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'
import { describe, expect, it } from 'vitest'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { TenantId } from '#shared/base/ids.ts'
import { countryBit, groupCountries } from '#shared/law/region.ts'
import { parseCsv } from '#test/support/csv.ts'
import { CSV_HEAD, toCsvLine } from '#worker/api/audit/audit-lines.ts'
import {
  recordAsCsv,
  recordOfProcessing,
  RopaReply,
} from '#worker/api/audit/record-of-processing.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

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
const compiled = compilePolicy(policy, { tenant: acme, version: 2 })
const record = recordOfProcessing(
  {
    policies: [{ policy, compiled, publishedAtMs: 0, retiredAtMs: null }],
    placements: [placed('DE', 10), placed('CH', 2), placed('US', 1)],
    logSize: 40,
  },
  { tenant: acme, nowMs: 1_800_000_000_000 },
)

describe('the record of processing', () => {
  it('says where jobs ran, and the basis on record of each transfer beyond the EEA', () => {
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

  it('does not name public nodes as recipients of personal data', () => {
    const policies = [{ policy, compiled, publishedAtMs: 0, retiredAtMs: null }]
    const facts = { policies, placements: [], logSize: 1 }
    const [activity] = recordOfProcessing(facts, { tenant: acme, nowMs: 0 }).activities
    expect(policy).toMatchObject({ nodeTrust: 'public', personalOnPublicNodes: false })
    expect(activity?.recipients.slice(1)).toEqual(['verified nodes'])
  })

  it('shows a retired policy as ended, and countries in the policy’s words', () => {
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

  it('has the same facts as CSV: one line per country, one column per fact', () => {
    const [head = [], ...lines] = parseCsv(recordAsCsv(record))
    const cells = (name: string) => lines.map((line) => line[head.indexOf(name)])
    expect(cells('activity')).toEqual(['sensors@2', 'sensors@2', 'sensors@2'])
    expect(cells('country')).toEqual(['DE', 'CH', 'US'])
    expect(cells('jobs')).toEqual(['10', '2', '1'])
    expect(cells('transfer').at(-1)).toBe('none on record')
    expect(cells('retentionDays')).toEqual(['30', '30', '30'])
  })
})

describe('an entry as CSV', () => {
  const line = (type: LogEntry['type'], detail: Record<string, unknown>) => {
    const salt: Bytes32 = `0x${'22'.repeat(32)}`
    const commitment: Bytes32 = `0x${'11'.repeat(32)}`
    const entry = { version: 1 as const, sequence: 7, atMs: 0, type, commitment }
    const [head = [], cells = []] = parseCsv(
      CSV_HEAD + toCsvLine({ ...entry, opening: { salt, detail } }),
    )
    expect(cells).toHaveLength(head.length)
    expect(cells.join()).not.toMatch(/[{[]/)
    return (name: string) => cells[head.indexOf(name)]
  }

  it('has the policy and its version in columns of their own', () => {
    const change = { policyHash: null, by: null }
    const published = line('policy.published', { subject: 'meters-de-fr@1', ...change })
    const named = ['policy', 'policyVersion', 'subject'].map(published)
    expect(named).toEqual(['meters-de-fr', '1', 'meters-de-fr@1'])
    const retired = line('policy.retired', { subject: 'eu-only', ...change })
    expect(['policy', 'policyVersion'].map(retired)).toEqual(['eu-only', ''])
  })

  it('keeps commas, quotes and line ends within a cell, and starts no formula', () => {
    const subject = 'a "b", c\r\nd'
    const cell = line('quota.set', { subject, policyHash: null, by: null })
    const head = ['sequence', 'time', 'type'].map(cell)
    expect(head).toEqual(['7', '1970-01-01T00:00:00.000Z', 'quota.set'])
    expect(cell('subject')).toBe(subject)
    const formula = { subject: '=1+1', policyHash: null, by: null }
    expect(line('quota.set', formula)('subject')).toBe("'=1+1")
  })

  it('has a column for each fact, and countries by their ISO codes', async () => {
    const domain = { chainId: 1, verifyingContract: `0x${'5e'.repeat(20)}` } as const
    const signed = await (await createReceiptMaker(domain)).make()
    const placed = line('job.placed', placementOf(signed))
    const { jobId } = signed.receipt.ticket
    const named = ['job', 'country', 'evidence', 'possibleCountries'].map(placed)
    expect(named).toEqual([jobId, 'DE', 'observed', 'DE'])
    const admitted = line('job.admitted', admissionOf(signed))
    expect(admitted('policy')).toBe('eu-only')
    expect(admitted('allowedCountries')?.split(' ')).toEqual(groupCountries('EU')?.toSorted())
  })
})
