/** Policies over HTTP: published, chosen, narrowed; and what they refuse before any node is asked. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problem } from '#test/support/problem.ts'
import { callUnsent } from '#test/support/unsent.ts'
import { startTestWorker, type CallOptions, type TestWorker } from '#test/support/worker.ts'
import * as replies from '#worker/formats/replies.ts'

const MODEL = 'littoral-embed-400k'

let worker: TestWorker
let key: string

beforeAll(async () => {
  worker = await startTestWorker('production')
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: ['infer', 'policy'] })).key
})

afterAll(async () => {
  await worker?.close()
})

const embed = (json: object, options: CallOptions = {}) =>
  worker.call('POST', '/v1/embeddings', {
    key,
    json: { model: MODEL, input: 'a', ...json },
    ...options,
  })

describe('[A6] policies', () => {
  const put = (id: string, json: object) => worker.call('PUT', `/v1/policies/${id}`, { key, json })

  it('get a version with every change, and the answer names the one that was applied', async () => {
    const first = replies.PolicyReply.parse(
      (await put('alps', { compute: { allow: ['AT', 'CH'] } })).body,
    )
    expect(first).toMatchObject({ version: 1, computeCountries: ['AT', 'CH'] })
    const again = replies.PolicyReply.parse(
      (await put('alps', { compute: { allow: ['AT', 'CH'] } })).body,
    )
    expect(again).toEqual(first)
    const second = replies.PolicyReply.parse(
      (await put('alps', { compute: { allow: ['CH'] } })).body,
    )
    expect(second.version).toBe(2)
    const reply = await embed({}, { headers: { 'x-littoral-policy': 'alps' } })
    expect(reply.headers.get('x-littoral-policy')).toBe('alps@2')
    expect((await embed({ policy: 'alps' })).headers.get('x-littoral-policy')).toBe('alps@2')
    expect((await embed({})).headers.get('x-littoral-policy')).toBe('default@1')
  })

  it('that are made the default apply to requests that name none', async () => {
    const made = await worker.operator.createKey({ tenant: 'chooser', scopes: ['infer', 'policy'] })
    const options = { key: made.key }
    problem(await worker.call('POST', '/v1/policies/nordic/default', options), 'not_found')
    await worker.call('PUT', '/v1/policies/nordic', {
      ...options,
      json: { compute: { allow: ['SE'] } },
    })
    const chosen = await worker.call('POST', '/v1/policies/nordic/default', options)
    expect(replies.DefaultPolicyReply.parse(chosen.body)).toEqual({ default: 'nordic' })
    expect((await embed({}, options)).headers.get('x-littoral-policy')).toBe('nordic@1')
  })

  it('that make no sense are refused', async () => {
    problem(await put('mars', { compute: { allow: ['MARS'] } }), 'invalid_request')
    problem(await put('UPPER', { compute: { allow: ['DE'] } }), 'invalid_request')
    problem(await put('one', { id: 'other', compute: { allow: ['DE'] } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-policy': 'nowhere' } }), 'invalid_request')
    problem(
      await embed({ policy: 'default' }, { headers: { 'x-littoral-policy': 'alps' } }),
      'invalid_request',
    )
  })

  it('[E6] that pin records to where this deployment does not stand are refused when published', async () => {
    const refused = problem(
      await put('pin', { compute: { allow: ['EU'] }, storage: 'eu' }),
      'invalid_request',
    )
    expect(refused.errors?.[0]?.pointer).toBe('/storage')
    const there = await startTestWorker('production', { JURISDICTION: 'eu' })
    try {
      const made = await there.operator.createKey({ tenant: 'acme', scopes: ['policy'] })
      const json = { compute: { allow: ['EU'] }, storage: 'eu' }
      expect((await there.call('PUT', '/v1/policies/pin', { key: made.key, json })).status).toBe(
        200,
      )
    } finally {
      await there.close()
    }
  })
})

describe('residency of a request', () => {
  it('[E7] can be narrowed, and never to nothing', async () => {
    const narrowed = await embed({}, { headers: { 'x-littoral-residency': 'US' } })
    expect(problem(narrowed, 'residency_unsatisfiable').rule).toBe('compute.allow')
    const both = await embed(
      { residency: { allow: ['FR'] } },
      { headers: { 'x-littoral-residency': 'DE' } },
    )
    expect(problem(both, 'residency_unsatisfiable').rule).toBe('compute.allow')
    problem(await embed({ residency: { allow: ['MARS'] } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-residency': 'EU, MARS' } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-residency': 'FR, DE' } }), 'no_capacity')
  })

  it('[E2] is refused at the wrong ingress with its body unread', async () => {
    const json = { ingress: { allow: ['CH'] }, compute: { allow: ['EU'] } }
    await worker.call('PUT', '/v1/policies/swiss-door', { key, json })
    const reply = await callUnsent(`${worker.workerd.url}/v1/embeddings`, {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': '1000',
      'x-littoral-policy': 'swiss-door',
      'x-littoral-simulated-ingress': 'CH',
    })
    expect(problem(reply, 'residency_ingress_denied').rule).toBe('ingress.allow')
    problem(await embed({ policy: 'swiss-door' }), 'residency_ingress_denied')
  })

  it('[E2] is refused where nobody knows where requests enter', async () => {
    const blind = await startTestWorker('production', { INGRESS_COUNTRY: '' })
    try {
      const made = await blind.operator.createKey({ tenant: 'acme', scopes: ['infer'] })
      const json = { model: MODEL, input: 'a' }
      problem(
        await blind.call('POST', '/v1/embeddings', { key: made.key, json }),
        'residency_ingress_denied',
      )
    } finally {
      await blind.close()
    }
  })
})
