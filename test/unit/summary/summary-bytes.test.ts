/** A summary survives its own encoding, and nothing else passes for one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import { ANY_KERNEL, groupSize, mayContain } from '#worker/summary/hub-summary.ts'
import { summarise, type SummarisedNode } from '#worker/summary/summarise.ts'
import { packSummary, readSummary, SUMMARY_BYTES } from '#worker/summary/summary-bytes.ts'
import { facts } from '#test/support/hub/policies.ts'
import { digest, modelOf, nodeIn, summaryOf } from '#test/support/summary/summaries.ts'

const node: fc.Arbitrary<SummarisedNode> = fc.record({
  facts,
  models: fc.array(
    fc.nat(40).map((n) => modelOf(n + 1)),
    { maxLength: 6 },
  ),
  loadable: fc.array(
    fc.nat(200).map((n) => digest(n + 1)),
    { maxLength: 60 },
  ),
  kernels: fc.oneof(fc.constant('any' as const), fc.array(fc.nat(99).map((n) => digest(n + 101)))),
  features: fc.subarray(['f16', 'subgroups']),
  maxJobs: fc.integer({ min: 1, max: 8 }),
  inFlight: fc.nat(9),
})

const hub = {
  hub: 'eu-west-0',
  jurisdiction: 'eu' as const,
  atMs: 1_790_000_000_123,
  isDraining: false,
  jobs: { active: 3, waiting: 1 },
  peerId: NodeId.parse('12D3KooWHFrmLWTTDD4NodngtRMEVYgxrsDMp4F9iSwYntZ9WjHa'),
  hubKey: { x: digest(1), y: digest(2) },
  capacity: 500,
}

describe('a summary', () => {
  it('is the same after it was packed and read, and fits its bound, for any nodes', () => {
    fc.assert(
      fc.property(fc.array(node, { maxLength: 500 }), (nodes) => {
        const summary = summarise(hub, nodes)
        const bytes = packSummary(summary)
        expect(bytes.length).toBeLessThanOrEqual(SUMMARY_BYTES)
        expect(readSummary(bytes)).toEqual(summary)
      }),
      { numRuns: 30 },
    )
  })

  it('takes less than two kilobytes for a hub of five hundred nodes in a dozen countries', () => {
    const countries = ['DE', 'FR', 'NL', 'BE', 'AT', 'CH', 'IT', 'ES', 'PL', 'CZ', 'DK', 'SE']
    const nodes = Array.from({ length: 500 }, (_, n) =>
      nodeIn(countries[n % 12] ?? 'DE', {
        models: [modelOf(1 + (n % 10))],
        loadable: [digest(11 + (n % 10))],
        kernels: 'any',
      }),
    )
    expect(packSummary(summarise(hub, nodes)).length).toBeLessThan(2_000)
  })

  it('counts every node in one group, and leaves quarantined ones out of slots and offers', () => {
    const nodes = [
      nodeIn('DE', { kernels: 'any', inFlight: 1 }),
      nodeIn('DE', { kernels: 'any', facts: { ...nodeIn('DE').facts, quarantined: true } }),
      nodeIn('FR', { kernels: 'any', inFlight: 5 }),
    ]
    const { groups, seats, slots } = summaryOf({ hub: 'hub-0', nodes })
    expect(groups.reduce((sum, group) => sum + groupSize(group), 0)).toBe(3)
    expect(seats).toEqual({ free: 497, all: 500 })
    expect(slots).toEqual({ free: 1, all: 4 })
    expect(groups.flatMap(({ offers }) => offers)).toMatchObject([
      { key: ANY_KERNEL, freeSlots: 1 },
    ])
  })

  it('names who vouches only as bits', () => {
    const own = { ...nodeIn('DE').facts, trust: 'verified' as const, voucher: 'clinic-a' }
    const summary = summaryOf({ hub: 'hub-0', nodes: [nodeIn('DE', { facts: own })] })
    expect(mayContain(summary.groups[0]?.vouchers ?? 0, 'clinic-a')).toBe(true)
    const text = JSON.stringify(summary.groups.map((group) => ({ ...group, countries: [] })))
    expect(text).not.toContain('clinic')
  })

  it('is refused when it is cut, longer, or changed in version', () => {
    const bytes = packSummary(summarise(hub, [nodeIn('DE', { kernels: 'any' })]))
    for (let size = 0; size < bytes.length; size += 1)
      expect(() => readSummary(bytes.subarray(0, size))).toThrow(/too short|another version/)
    expect(() => readSummary(new Uint8Array([...bytes, 0]))).toThrow('too long')
    expect(() => readSummary(new Uint8Array([9, ...bytes.subarray(1)]))).toThrow('another version')
    expect(() => readSummary(new Uint8Array(SUMMARY_BYTES + 1))).toThrow('too long')
  })

  it('ends every junk in an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (junk) => {
        expect(() => readSummary(new Uint8Array([1, ...junk]))).toThrow(/^invalid_request/)
      }),
    )
  })
})
