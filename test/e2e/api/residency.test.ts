import { describe, expect, it } from 'vitest'
import { DryRunReply } from '#shared/api/policies.ts'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { until } from '#test/support/poll.ts'
import { openOnce } from '#test/support/open-once.ts'

const EMBEDDING = { model: 'littoral-embed-400k', input: 'turn on the kitchen light' }

const { stack, tenant } = useStack({ scopes: ['infer', 'policy', 'audit'] })
const us = openOnce(() =>
  stack.startNode({ name: 'us', region: 'US', device: 'cpu', verified: false }),
)

function jobsStartedOn(node: NodeProcess): number {
  return node.lines.filter((line) => line.includes('job.started')).length
}

describe('a request that is pinned to the EU, on the whole system', () => {
  it('[R9] fails with the named error and its rule while only a US node is there, and no byte reaches that node', async () => {
    const { status, headers, body } = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
    expect(status).toBe(422)
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(body).toMatchObject({ code: 'residency_unsatisfiable', rule: 'compute.allow' })
    expect(headers.get('x-littoral-policy')).toContain('open-eu')
    expect(headers.has('x-littoral-node')).toBe(false)
    expect(jobsStartedOn(us)).toBe(0)
  })

  it('[R1] is answered by the EU node, never by the earlier US node', async () => {
    const eu = await stack.startNode({ name: 'fr', region: 'FR', device: 'cpu', verified: false })
    for (let i = 0; i < 5; i += 1) {
      const { status, headers } = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
      expect(status).toBe(200)
      expect(headers.get('x-littoral-node')).toBe(eu.nodeId)
      expect(headers.get('x-littoral-region')).toBe('FR')
      expect(headers.get('x-littoral-evidence')).toContain('observed; source=simulated')
    }
    expect(jobsStartedOn(us)).toBe(0)
    expect(jobsStartedOn(eu)).toBe(5)
  })

  it('can be narrowed by header and body, but never widened', async () => {
    const byHeader = await stack.post(tenant, '/v1/embeddings', EMBEDDING, {
      'x-littoral-residency': 'DE',
    })
    expect(byHeader.body).toMatchObject({ code: 'residency_unsatisfiable', rule: 'compute.allow' })
    const byBody = await stack.post(tenant, '/v1/embeddings', {
      ...EMBEDDING,
      residency: { allow: ['FR', 'US'] },
    })
    expect(byBody.headers.get('x-littoral-region')).toBe('FR')
    const widened = await stack.post(tenant, '/v1/embeddings', {
      ...EMBEDDING,
      residency: { allow: ['US'] },
    })
    expect(widened.body).toMatchObject({ code: 'residency_unsatisfiable' })
    expect(jobsStartedOn(us)).toBe(0)
  })

  it('is refused when TLS ends outside its ingress rule', async () => {
    const pinned = { ...openPolicy('EU'), id: 'ingress-eu', ingress: { allow: ['EU'] } }
    const other = await stack.createTenant('ingress', ['infer', 'policy'])
    await stack.pin(other, pinned)
    const { status, body } = await stack.post(other, '/v1/embeddings', EMBEDDING, {
      'x-littoral-simulated-ingress': 'US',
    })
    expect(status).toBe(422)
    expect(body).toMatchObject({ code: 'residency_ingress_denied', rule: 'ingress.allow' })
  })

  it('keeps personal data from public nodes unless the policy opts in', async () => {
    const other = await stack.createTenant('personal', ['infer', 'policy'])
    const personal = { id: 'personal', compute: { allow: ['EU'] }, dataClass: 'personal' }
    await stack.pin(other, personal)
    const refused = await stack.post(other, '/v1/embeddings', EMBEDDING)
    expect(refused.body).toMatchObject({
      code: 'residency_unsatisfiable',
      rule: 'data_class.personal',
    })
    const optIn = await stack.createTenant('opted', ['infer', 'policy'])
    await stack.pin(optIn, { ...personal, personalOnPublicNodes: true })
    expect((await stack.post(optIn, '/v1/embeddings', EMBEDDING)).status).toBe(200)
  })

  it('never uses a node that claims Germany over a connection from the US', async () => {
    const liar = await stack.startNode({
      name: 'liar',
      region: 'DE',
      simulatedPlace: 'US',
      device: 'cpu',
      verified: false,
    })
    const { body } = await stack.post(tenant, '/v1/embeddings', EMBEDDING, {
      'x-littoral-residency': 'DE',
    })
    expect(body).toMatchObject({ code: 'residency_unsatisfiable' })
    expect(jobsStartedOn(liar)).toBe(0)
    await until('the node is told why', () =>
      liar.lines.some((line) => line.includes('its connection comes from US')),
    )
    // No job is sent; the dry run makes the same decision, node by node.
    const told = await stack.post(tenant, '/v1/policies/dry-run', { residency: { allow: ['DE'] } })
    const { nodes, outcome } = DryRunReply.parse(told.body)
    const verdicts = nodes.map(({ country, verdict }) => `${country} ${verdict}`).toSorted()
    expect(verdicts).toEqual(['DE node.quarantined', 'FR compute.allow', 'US compute.allow'])
    expect(nodes.find(({ nodeId }) => nodeId === us.nodeId)?.sentence).toBe(
      'The node stands in US, and the job may run in DE only.',
    )
    expect(outcome).toMatchObject({ code: 'residency_unsatisfiable', rule: 'compute.allow' })
    expect(outcome.sentence).toContain('nearest: FR, US (compute.allow)')
    expect(body).toMatchObject({ rule: outcome.rule, needed: outcome.needed })
    const open = DryRunReply.parse((await stack.post(tenant, '/v1/policies/dry-run', {})).body)
    expect(open.outcome).toMatchObject({ code: 'allow', needed: null })
    expect(open.nodes.filter(({ verdict }) => verdict === 'allow')).toMatchObject([
      { country: 'FR' },
    ])
    await liar.close()
  })
})
