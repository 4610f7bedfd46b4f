import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '#shared/law/decide.ts'
import { COUNTRIES } from '#shared/law/region.ts'
import { effectiveCompute } from '#shared/law/compile-policy.ts'
import type { Work } from '#shared/job/job.ts'
import { canRun, predictMs, chooseNode, type NodeView } from '#worker/hub/choice/choice.ts'
import { facts, policy } from '#test/support/hub/policies.ts'

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

  it('takes the node with the smallest predicted completion if all are sampled', () => {
    fc.assert(
      fc.property(policy, fc.array(node, { minLength: 1, maxLength: 4 }), (p, nodes) => {
        const choice = chooseNode(
          nodes,
          { policy: p, allowed: p.compute, work, tried: new Set(), nodeId: null, leftMs: Infinity },
          () => 0.5,
        )
        if (choice.kind !== 'node') return
        const able = nodes.filter(
          (n) =>
            decide(p, p.compute, n.facts) === 'allow' && canRun(n, work) && n.inFlight < n.maxJobs,
        )
        const best = Math.min(...able.map(predictMs))
        const chosen = able.find((n) => n.nodeId === choice.nodeId)
        expect(chosen && predictMs(chosen)).toBe(best)
      }),
      { numRuns: 1_000 },
    )
  })
})
