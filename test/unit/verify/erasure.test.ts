/** The verifier tells erased details from withheld ones. */
import { describe, expect, it } from 'vitest'
import type { AuditBundle } from '#shared/audit/bundle.ts'
import { countrySet } from '#shared/law/region.ts'
import { verifyBundle } from '#shared/verify/whole.ts'
import { makeBundle, type MadeBundle } from '#test/support/storage/bundle.ts'

/** A bundle of three jobs, the second of which was erased. */
function erased(): Promise<MadeBundle> {
  return makeBundle({
    jobs: 3,
    afterwards: (core, [, second]) => {
      if (second !== undefined) core.receipts.erase(second.receipt.ticket.jobId, null)
    },
  })
}

async function verdictOf(bundle: AuditBundle, trust: MadeBundle['trust']) {
  const { verdict, lines } = await verifyBundle(bundle, trust)
  expect(lines.filter(({ result }) => result === 'failed')).toEqual([])
  return verdict
}

describe('a job that was erased', () => {
  it('is explained by the log: the rest holds, and a note names the erased entries', async () => {
    const { bundle, trust } = await erased()
    expect(bundle.jobs).toHaveLength(2)
    const { result, title, notes } = await verdictOf(bundle, trust)
    expect(result).toBe('holds')
    expect(title).toContain('Everything holds')
    expect(notes.join(' ')).toContain(
      '2 entries without detail, erased as the log itself says (5 to 6)',
    )
  })

  it('leaves open where every job ran', async () => {
    const { bundle, trust } = await erased()
    const within = { names: ['EU'], countries: countrySet(['EU']) }
    const { result, title } = await verdictOf(bundle, { ...trust, within })
    expect(result).toBe('incomplete')
    expect(title).toContain('where the jobs of 2 erased entries ran is not shown')
  })

  it('does not explain another job that is passed off as erased', async () => {
    const { bundle, trust } = await erased()
    for (const entry of bundle.entries.slice(3, 5)) entry.opening = null
    bundle.jobs.splice(0, 1)
    const { result, title } = await verdictOf(bundle, trust)
    expect(result).toBe('incomplete')
    expect(title).toContain(
      '2 entries without detail, which no erasure in the log explains (3 to 4)',
    )
  })

  it('is not explained when the erasure itself is withheld or missing', async () => {
    const { bundle, trust } = await erased()
    const last = bundle.entries.at(-1)
    expect(last?.type).toBe('job.erased')
    const opening = last?.opening ?? null
    if (last !== undefined) last.opening = null
    expect((await verdictOf(bundle, trust)).title).toContain('explains (5 to 6, 9)')
    // An erasure beyond the range may stand beside it.
    bundle.range = { from: 0, to: 9 }
    if (last !== undefined) last.opening = opening
    const beside = { ...bundle, entries: bundle.entries.slice(0, -1) }
    expect((await verdictOf(beside, trust)).result).toBe('incomplete')
    const told = { ...beside, erasures: bundle.entries.slice(-1) }
    expect((await verdictOf(told, trust)).result).toBe('holds')
  })
})

describe('a bundle that was narrowed', () => {
  it('says to what, and does not call details of other types erased or withheld', async () => {
    const { bundle, trust } = await makeBundle({ jobs: 2, hasChain: false })
    bundle.selection = { ...bundle.selection, type: 'job.placed' }
    for (const entry of bundle.entries) if (entry.type !== 'job.placed') entry.opening = null
    const { result, title } = await verdictOf(bundle, trust)
    expect([result, title]).toEqual(['holds', expect.stringContaining('only job.placed')])
    const [placed] = bundle.entries.filter(({ type }) => type === 'job.placed')
    if (placed !== undefined) placed.opening = null
    expect((await verdictOf(bundle, trust)).result).toBe('incomplete')
  })

  it('to a time is incomplete without the entries beside it', async () => {
    const { bundle, trust } = await makeBundle({ jobs: 2, hasChain: false })
    const whole = bundle.entries
    const edge = whole[2]
    if (edge === undefined) throw new Error('there is an entry 2')
    bundle.range = { from: 3, to: whole.length }
    bundle.entries = whole.slice(3)
    bundle.selection = { ...bundle.selection, fromMs: edge.atMs + 1 }
    const open = await verdictOf(bundle, trust)
    expect([open.result, open.title]).toEqual([
      'incomplete',
      expect.stringContaining('1 other part missing'),
    ])
    const leaf = { ...edge, opening: null }
    expect((await verdictOf({ ...bundle, edges: [leaf] }, trust)).result).toBe('holds')
    // An entry of that time stands before the range: it was cut too short.
    const selection = { ...bundle.selection, fromMs: edge.atMs }
    expect((await verdictOf({ ...bundle, edges: [leaf], selection }, trust)).result).toBe(
      'incomplete',
    )
  })

  it('fails when it shows an entry of another time, type or policy', async () => {
    const { bundle, trust } = await makeBundle({ jobs: 2, hasChain: false })
    const { selection } = bundle
    const lastMs = bundle.entries.at(-1)?.atMs ?? 0
    const close = (hides: (type: string) => boolean) =>
      bundle.entries.map((entry) => (hides(entry.type) ? { ...entry, opening: null } : entry))
    const ofJobs = close((type) => !type.startsWith('job.'))
    const ask = async (change: Partial<AuditBundle>) =>
      (await verifyBundle({ ...bundle, ...change }, trust)).verdict.result
    const eu = { ...selection, policy: 'eu-only' }
    const other = { ...selection, policy: 'dach' }
    const later = { ...selection, fromMs: lastMs + 1 }
    const before = { ...selection, toMs: (bundle.entries[0]?.atMs ?? 0) - 1 }
    const placed = { ...selection, type: 'job.placed' as const }
    expect(await ask({ selection: eu, entries: ofJobs })).toBe('holds')
    expect(await ask({ selection: eu })).toBe('fails')
    const [hidden] = ofJobs.filter(({ type }) => type === 'job.placed')
    const short = ofJobs.map((entry) => (entry === hidden ? { ...entry, opening: null } : entry))
    const { title } = (await verifyBundle({ ...bundle, selection: eu, entries: short }, trust))
      .verdict
    expect(title).toContain('1 entry without detail, of other policies or withheld (4)')
    expect(await ask({ selection: other, entries: ofJobs })).toBe('fails')
    // A job of another policy counts even when its entries are hidden.
    expect(await ask({ selection: other, entries: close(() => true) })).toBe('fails')
    expect(await ask({ selection: placed })).toBe('fails')
    for (const time of [later, before]) expect(await ask({ selection: time })).toBe('fails')
  })

  it('still explains what was erased', async () => {
    const { bundle, trust } = await erased()
    bundle.selection = { ...bundle.selection, type: 'job.placed' }
    for (const entry of bundle.entries)
      if (!['job.placed', 'job.erased'].includes(entry.type)) entry.opening = null
    const { result, notes } = await verdictOf(bundle, trust)
    expect([result, notes.join()]).toEqual(['holds', expect.stringContaining('erased as the log')])
  })
})
