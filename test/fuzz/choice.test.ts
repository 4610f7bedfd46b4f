import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '#shared/law/decide.ts'
import { COUNTRIES, NO_COUNTRY } from '#shared/law/region.ts'
import { effectiveCompute } from '#shared/law/compile-policy.ts'
import { NodeId } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { placeIn } from '#test/support/hub/place.ts'
import { presenceOf } from '#test/support/hub/presence.ts'
import {
  canRun,
  chooseNode,
  chooseSecond,
  costMs,
  predictMs,
  type NodeView,
} from '#worker/hub/choice/choice.ts'
import { Directory, factsOf, type Member } from '#worker/hub/members/directory.ts'
import { compiled, facts, policy } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'

const DIGEST = `0x${'ab'.repeat(32)}` as const
const work: Work = {
  kind: 'model',
  model: 'm',
  digest: DIGEST,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1], sizeBytes: 4 }],
}

const node: fc.Arbitrary<NodeView> = fc.record({
  nodeId: fc.uuid(),
  facts,
  models: fc.constantFrom(
    [{ id: 'm', digest: DIGEST, provider: 'cpu' as const, serviceMs: 1 }],
    [{ id: 'm', digest: `0x${'cd'.repeat(32)}` as const, provider: 'cpu' as const, serviceMs: 1 }],
    [],
  ),
  kernels: fc.constant('any' as const),
  maxJobs: fc.integer({ min: 1, max: 8 }),
  inFlight: fc.nat(8),
  rttMs: fc.double({ min: 0, max: 500, noNaN: true }),
  serviceMs: fc.double({ min: 0, max: 500, noNaN: true }),
  isMeasured: fc.boolean(),
})

/** Views of a node, by how reliably it has answered this hub. */
const conducted: fc.Arbitrary<NodeView> = fc
  .tuple(
    node,
    fc.record({
      isSuspect: fc.boolean(),
      isBehind: fc.boolean(),
      standing: fc.constantFrom(0, 0.5, 8),
    }),
  )
  .map(([view, conduct]) => ({ ...view, ...conduct }))

const scenario = fc.record({
  policy,
  narrowTo: fc.option(fc.array(fc.constantFrom(...COUNTRIES), { minLength: 1, maxLength: 5 }), {
    nil: undefined,
  }),
  nodes: fc.array(conducted, { maxLength: 30 }),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
})

function memberAt(at: number, place: () => Place): Member {
  const nodeId = NodeId.parse(`12D3KooW${String(at + 1).repeat(44)}`)
  return {
    admission: { nodeId, claim: 'DE', networks: [], voucher: null, reporter: nodeId },
    evidence: { place, record: () => null },
    link: { rttMs: () => at, inFlight: () => 0 } as Partial<Member['link']> as Member['link'],
    presence: presenceOf({
      nodeId,
      receiptKey: { x: `0x${'1'.repeat(64)}`, y: `0x${'2'.repeat(64)}` },
      claim: 'DE',
      models: [{ id: 'm', digest: DIGEST, provider: 'cpu', serviceMs: 1 }],
      sequence: 1,
      maxJobs: 1,
    }),
    signedPresence: { record: '', signature: '' },
    quarantine: null,
    jobsDone: 0,
    serviceMs: new Map(),
  }
}

describe('the choice of a node, over random policies and node sets', () => {
  it('[R8] never gives a job to a node that its policy excludes, through any number of failures', () => {
    fc.assert(
      fc.property(scenario, (s) => {
        const allowed = effectiveCompute(s.policy, s.narrowTo)
        const tried = new Set<string>()
        const job = { policy: s.policy, allowed, work, tried, nodeId: null, leftMs: Infinity }
        for (let attempt = 0; attempt < 4; attempt += 1) {
          const choice = chooseNode(s.nodes, { ...job, isLast: attempt % 2 === 1 }, () => s.random)
          if (choice.kind !== 'node') return
          const chosen = s.nodes.find((n) => n.nodeId === choice.nodeId)
          expect(chosen).toBeDefined()
          if (chosen === undefined) return
          expect(decide(s.policy, allowed, chosen.facts)).toBe('allow')
          expect(canRun(chosen, work)).toBe(true)
          expect(chosen.inFlight).toBeLessThan(chosen.maxJobs)
          expect(tried.has(chosen.nodeId)).toBe(false)
          tried.add(chosen.nodeId)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('[R8] holds for the place that a node has now, however often nodes move, fail and are refuted between choices', () => {
    const change = fc.record({
      at: fc.nat(7),
      country: fc.constantFrom('DE', 'FR', 'US', 'JP'),
      kind: fc.constantFrom('moves', 'moves', 'refuted', 'answers'),
    })
    const p = compiled({ compute: { allow: ['EU'], deny: ['FR'] } })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        let nowMs = 0
        const directory = new Directory(() => nowMs)
        const places = Array.from({ length: 8 }, () => placeIn('DE'))
        const members = places.map((_, at) => memberAt(at, () => places[at] ?? placeIn('DE')))
        for (const member of members) directory.add(member)
        const about = { policy: p, allowed: p.compute, work, nodeId: null, leftMs: Infinity }
        const isAllowed = (nodeId: string) => {
          const member = directory.get(nodeId)
          return member !== undefined && decide(p, p.compute, factsOf(member)) === 'allow'
        }
        for (const { at, country, kind } of changes) {
          const member = members[at]
          if (member === undefined) continue
          nowMs += 1
          if (kind === 'answers') directory.recordService(member, work, { ms: 10, units: 1 })
          else if (kind === 'refuted')
            directory.judge(member, member.quarantine === null ? 'moved' : null)
          else places[at] = placeIn(country)
          const views = directory.views(work, 1)
          const first = chooseNode(views, { ...about, tried: new Set() }, () => 0)
          if (first.kind !== 'node') {
            expect(members.some(({ admission }) => isAllowed(admission.nodeId))).toBe(false)
            continue
          }
          expect(isAllowed(first.nodeId)).toBe(true)
          const second = chooseSecond(views, { ...about, tried: new Set([first.nodeId]) }, 'nobody')
          if (second === undefined) continue
          expect(isAllowed(second.nodeId)).toBe(true)
          expect(second.nodeId).not.toBe(first.nodeId)
        }
      }),
      { seed: 13, numRuns: 300 },
    )
  })

  it('takes as second node the measured one that answers first, of another reporter if there is one', () => {
    const owned = fc
      .tuple(conducted, fc.constantFrom('a', 'b'))
      .map(([view, reporter]) => ({ ...view, reporter }))
    fc.assert(
      fc.property(policy, fc.array(owned, { minLength: 2, maxLength: 12 }), (p, nodes) => {
        const tried = new Set(nodes.slice(0, 1).map(({ nodeId }) => nodeId))
        const job = { policy: p, allowed: p.compute, work, tried, nodeId: null, leftMs: 1_000 }
        const fit = nodes.filter(
          (n) =>
            decide(p, p.compute, n.facts) === 'allow' &&
            canRun(n, work) &&
            !tried.has(n.nodeId) &&
            n.inFlight < n.maxJobs &&
            n.isMeasured &&
            predictMs(n) <= 1_000 &&
            n.isSuspect !== true &&
            n.isBehind !== true,
        )
        const others = fit.filter(({ reporter }) => reporter !== 'a')
        const among = others.length > 0 ? others : fit
        const second = chooseSecond(nodes, job, 'a')
        if (among.length === 0) expect(second).toBeUndefined()
        else {
          expect(among).toContain(second)
          expect(second && predictMs(second)).toBe(Math.min(...among.map(predictMs)))
        }
      }),
      { seed: 14, numRuns: 2_000 },
    )
  })

  it('refuses with residency_unsatisfiable exactly when nodes are there and the policy allows none', () => {
    fc.assert(
      fc.property(scenario, (s) => {
        const allowed = effectiveCompute(s.policy, s.narrowTo)
        const choice = chooseNode(
          s.nodes,
          { policy: s.policy, allowed, work, tried: new Set(), nodeId: null, leftMs: Infinity },
          () => s.random,
        )
        const noneAllowed =
          s.nodes.length > 0 && s.nodes.every((n) => decide(s.policy, allowed, n.facts) !== 'allow')
        const code = choice.kind === 'refuse' ? choice.error.code : choice.kind
        expect(code === 'residency_unsatisfiable').toBe(noneAllowed)
        const saysEmpty = choice.kind === 'refuse' && choice.hasNoNodes
        expect(saysEmpty).toBe(s.nodes.length === 0)
      }),
      { numRuns: 1_000 },
    )
  })

  it('reports missing features exactly when allowed nodes lack only those', () => {
    const kernel: Work = {
      kind: 'kernel',
      wgsl: 'x',
      entryPoint: 'main',
      workgroups: [1, 1, 1],
      buffers: [{ binding: 0, access: 'read_write', sizeBytes: 4, filled: false, return: true }],
      digest: DIGEST,
      requires: ['f16'],
    }
    const featured = fc.tuple(node, fc.boolean(), fc.boolean()).map(([view, has, runs]) => ({
      ...view,
      kernels: runs ? ('any' as const) : [],
      features: has ? ['f16'] : [],
    }))
    fc.assert(
      fc.property(policy, fc.array(featured, { maxLength: 4 }), (p, nodes) => {
        const wanted = {
          policy: p,
          allowed: p.compute,
          work: kernel,
          nodeId: null,
          leftMs: Infinity,
        }
        const choice = chooseNode(nodes, { ...wanted, tried: new Set() }, () => 0.5)
        const runs = nodes.filter(
          (n) => n.kernels === 'any' && decide(p, p.compute, n.facts) === 'allow',
        )
        const isMissing = runs.length > 0 && runs.every((n) => n.features.length === 0)
        expect(choice.kind === 'refuse' && choice.lacksFeatures).toBe(isMissing)
        if (isMissing && choice.kind === 'refuse')
          expect(choice.error.meta).toMatchObject({ rule: 'kernel.requires' })
      }),
      { seed: 10, numRuns: 1_000 },
    )
  })

  it('takes the cheapest node that is free, in time and has nothing against it', () => {
    const slotted = fc
      .tuple(conducted, fc.record({ ofThisWork: fc.nat(3), slots: fc.constantFrom(1, 2, 4, 8) }))
      .map(([view, slots]) => ({ ...view, ...slots }))
    fc.assert(
      fc.property(
        policy,
        fc.array(slotted, { minLength: 1, maxLength: 30 }),
        fc.record({
          leftMs: fc.constantFrom(100, 1_000, Infinity),
          random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        }),
        (p, nodes, { leftMs, random }) => {
          const tried = new Set(nodes.slice(0, 2).map(({ nodeId }) => nodeId))
          const job = { policy: p, allowed: p.compute, work, tried, nodeId: null, leftMs }
          const fit = nodes.filter(
            (n) =>
              decide(p, p.compute, n.facts) === 'allow' &&
              canRun(n, work) &&
              !tried.has(n.nodeId) &&
              n.inFlight < n.maxJobs &&
              n.ofThisWork < n.slots &&
              (!n.isMeasured || predictMs(n) <= leftMs) &&
              n.isSuspect !== true &&
              n.isBehind !== true,
          )
          if (fit.length === 0) return
          const choice = chooseNode(nodes, job, () => random)
          const chosen = fit.find((n) => choice.kind === 'node' && n.nodeId === choice.nodeId)
          expect(chosen && costMs(chosen)).toBe(Math.min(...fit.map(costMs)))
        },
      ),
      { seed: 8, numRuns: 2_000 },
    )
  })

  it('tries a node that was never measured now and then, if that leaves time for another', () => {
    const allows = compiled({ compute: { allow: ['WORLD'], deny: [] }, minEvidence: 'declared' })
    const place = {
      country: 0,
      possible: NO_COUNTRY,
      evidence: 'observed',
      trust: 'public',
    } as const
    const viewOf = (isMeasured: boolean): NodeView => ({
      nodeId: isMeasured ? 'measured' : 'newcomer',
      facts: { ...place, voucher: null, networks: [], quarantined: false },
      models: [{ id: 'm', digest: DIGEST, provider: 'cpu', serviceMs: 1 }],
      kernels: 'any',
      maxJobs: 2,
      inFlight: 0,
      rttMs: isMeasured ? 5 : 150,
      serviceMs: 20,
      isMeasured,
    })
    const [measured, newcomer] = [viewOf(true), viewOf(false)]
    const random = createRandom(64)
    const chosen = (nodes: readonly NodeView[], leftMs = 30_000) => {
      const about = { policy: allows, allowed: allows.compute, work, nodeId: null, leftMs }
      const draw = () => random.below(1_000) / 1_000
      const drawn = Array.from({ length: 1_000 }, () =>
        chooseNode(nodes, { ...about, tried: new Set() }, draw),
      )
      return drawn.filter((c) => c.kind === 'node' && c.nodeId === 'newcomer').length
    }
    expect(chosen([measured, newcomer])).toBeGreaterThan(0)
    expect(chosen([measured, newcomer])).toBeLessThan(50)
    expect(chosen([measured, newcomer], 200)).toBe(0)
    expect(chosen([measured, { ...newcomer, isBehind: true }])).toBe(0)
    expect(chosen([measured, { ...newcomer, isSuspect: true }])).toBe(0)
    expect(chosen([measured, { ...newcomer, ofThisWork: 1, slots: 1 }])).toBe(0)
  })
})
