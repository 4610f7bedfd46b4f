/** Placement for any nodes and policy: no barred node is asked, and one is asked if any could load. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Bytes32 } from '#shared/base/ids.ts'
import { decide } from '#shared/law/decide.ts'
import { countryBit, countrySet } from '#shared/law/region.ts'
import {
  mayLoad,
  place,
  type PlacementJob,
  type PlacementView,
  MODEL_PATIENCE_MS,
} from '#worker/hub/loads/placement.ts'
import { compiled } from '#test/support/hub/policies.ts'

const DIGESTS = ['aa', 'bb', 'cc'].map((byte) => `0x${byte.repeat(32)}` as Bytes32)
const WANTED = DIGESTS[0] as Bytes32
const NOW_MS = 1_000_000

const Digests = fc.subarray(DIGESTS)
const Node: fc.Arbitrary<PlacementView> = fc.record({
  nodeId: fc.uuid(),
  facts: fc.record({
    country: fc.constantFrom('DE', 'FR', 'US', 'IN').map(countryBit),
    possible: fc.constant(countrySet(['DE'])),
    networks: fc.constant([]),
    evidence: fc.constantFrom('contradicted', 'declared', 'observed'),
    trust: fc.constantFrom('public', 'verified'),
    voucher: fc.constantFrom(null, 'operator', 'other'),
    quarantined: fc.boolean(),
  }),
  warm: Digests.map((all) => new Set(all)),
  loadable: Digests.map((all) => new Set(all)),
  loading: fc
    .array(fc.tuple(fc.constantFrom(...DIGESTS), fc.integer({ min: NOW_MS - 60_000, max: NOW_MS })))
    .map((all) => new Map(all)),
  isSoftware: fc.boolean(),
  inFlight: fc.nat(8),
  rttMs: fc.double({ min: 0, max: 500, noNaN: true }),
  backoffUntilMs: fc.constantFrom(0, NOW_MS - 1, NOW_MS + 1),
})
const Nodes = fc.uniqueArray(Node, { selector: ({ nodeId }) => nodeId, maxLength: 8 })
const Policy = fc
  .record({
    allow: fc.subarray(['DE', 'FR', 'US', 'IN'], { minLength: 1 }),
    nodeTrust: fc.constantFrom('public' as const, 'verified' as const),
    minEvidence: fc.constantFrom('declared' as const, 'observed' as const),
  })
  .map(({ allow, ...rest }) =>
    compiled({ compute: { allow, deny: [] }, dataClass: 'public', ...rest }),
  )

function jobOf(policy: PlacementJob['policy'], tried: Iterable<string> = []): PlacementJob {
  const { compute: allowed } = policy
  const { tenant } = policy
  return { tenant, policy, allowed, digest: WANTED, tried: new Set(tried), nodeId: null }
}

describe('placement', () => {
  it('[M2] asks only an allowed node that has not failed the job and announces the model as loadable', () => {
    fc.assert(
      fc.property(Nodes, Policy, fc.nat(3), (nodes, policy, failed) => {
        const tried = nodes.slice(0, failed).map(({ nodeId }) => nodeId)
        const job = jobOf(policy, tried)
        const placement = place(nodes, job, NOW_MS)
        if (placement.kind === 'none') {
          expect(nodes.some((node) => mayLoad(node, job, NOW_MS))).toBe(false)
          return
        }
        const node = nodes.find(({ nodeId }) => nodeId === placement.nodeId)
        expect(node && decide(policy, job.allowed, node.facts)).toBe('allow')
        expect(tried).not.toContain(placement.nodeId)
        expect(node?.warm.has(WANTED)).toBe(false)
        expect(node?.backoffUntilMs).toBeLessThanOrEqual(NOW_MS)
        if (placement.kind === 'load') {
          expect(node?.loadable.has(WANTED)).toBe(true)
          expect(node?.loading.has(WANTED)).toBe(false)
        } else expect(node?.loading.has(WANTED)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('[M3] starts no second load of a model while an allowed recent one is running', () => {
    fc.assert(
      fc.property(Nodes, Policy, (nodes, policy) => {
        const job = jobOf(policy)
        const young = nodes.filter(
          (node) =>
            mayLoad(node, job, NOW_MS) &&
            NOW_MS - (node.loading.get(WANTED) ?? -Infinity) < MODEL_PATIENCE_MS,
        )
        if (young.length > 0) expect(place(nodes, job, NOW_MS).kind).toBe('join')
      }),
      { numRuns: 500 },
    )
  })

  it('[M3] gives the same answer whatever the order of the nodes', () => {
    fc.assert(
      fc.property(Nodes, Policy, (nodes, policy) => {
        const job = jobOf(policy)
        expect(place(nodes.toReversed(), job, NOW_MS).kind).toBe(place(nodes, job, NOW_MS).kind)
      }),
    )
  })

  it('[M2] asks only the session’s own node', () => {
    fc.assert(
      fc.property(Nodes, Policy, fc.nat(7), (nodes, policy, index) => {
        const pinned = nodes[index]?.nodeId ?? 'nobody'
        const placement = place(nodes, { ...jobOf(policy), nodeId: pinned }, NOW_MS)
        if (placement.kind !== 'none') expect(placement.nodeId).toBe(pinned)
      }),
    )
  })
})
