/** Publishes, chooses and narrows policies over HTTP, and checks what they refuse before any node is asked. */
import { beforeAll, describe, expect, it } from 'vitest'
import { problem } from '#test/support/stack/problem.ts'
import { callUnsent } from '#test/support/stack/unsent.ts'
import { startTestWorker, type CallOptions, useWorker } from '#test/support/stack/worker.ts'
import * as replies from '#shared/api/policies.ts'

const MODEL = 'littoral-embed-400k'

const worker = useWorker('production')
let key: string

beforeAll(async () => {
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: ['infer', 'policy'] })).key
})

const embed = (json: object, options: CallOptions = {}) =>
  worker.call('POST', '/v1/embeddings', {
    key,
    json: { model: MODEL, input: 'a', ...json },
    ...options,
  })

const dryRun = (json: object, as = key) =>
  worker.call('POST', '/v1/policies/dry-run', { key: as, json })

describe('[A6] policies', () => {
  const put = (id: string, json: object) => worker.call('PUT', `/v1/policies/${id}`, { key, json })

  it('get a version with every change, and answers name the applied one', async () => {
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
    expect((await embed({})).headers.get('x-littoral-policy')).toBe('personal-eea@1')
  })

  it('show the assumed defaults when published', async () => {
    const reply = await put('left-out', { compute: { allow: ['EU'], deny: ['IE'] } })
    const { policy, computeIn, assumed, notes } = replies.PublishedPolicyReply.parse(reply.body)
    expect(computeIn).toBe('EU except IE')
    expect(policy.ingress).toEqual({ allow: ['EU'], deny: ['IE'] })
    expect(assumed.map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/ingress', '/storage', '/dataClass']),
    )
    expect(notes.join()).toContain('GF')
    const entering = await embed({}, { headers: { 'x-littoral-policy': 'alps' } })
    expect(problem(entering, 'residency_ingress_denied').rule).toBe('ingress.allow')
  })

  it('refuse new jobs once retired, and stay readable', async () => {
    await put('typo', { compute: { allow: ['DE'] } })
    const path = '/v1/policies/typo'
    const retired = await worker.call('POST', `${path}/retire`, { key })
    expect(replies.PolicyReply.parse(retired.body).retiredAtMs).not.toBeNull()
    const asked = { headers: { 'x-littoral-policy': 'typo' } }
    expect(problem(await embed({}, asked), 'invalid_request').detail).toContain('was retired on')
    problem(await embed({ policy: 'typo' }), 'invalid_request')
    problem(await dryRun({ policy: 'typo' }), 'invalid_request')
    problem(await put('typo', { compute: { allow: ['FR'] } }), 'invalid_request')
    problem(
      await worker.call('POST', '/v1/policies/personal-eea/retire', { key }),
      'invalid_request',
    )
    const listed = replies.PoliciesReply.parse(
      (await worker.call('GET', '/v1/policies', { key })).body,
    )
    expect(listed.policies.map(({ policy }) => policy.id)).not.toContain('typo')
    expect(listed.retired.map(({ policy }) => policy.id)).toEqual(['typo'])
    expect((await worker.call('GET', `${path}/versions/1`, { key })).status).toBe(200)
  })

  it('apply to requests without a policy once they are the default', async () => {
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

  const allow = (regions: string[], deny?: string[]) => ({ compute: { allow: regions, deny } })
  const eu = allow(['EU'])
  const phi = { ...eu, dataClass: 'phi' }
  const CONTRADICTIONS: readonly (readonly [string, object, string, RegExp])[] = [
    ['no compute', {}, '/compute', /must be an object/],
    ['an unknown country', allow(['EU', 'MARS']), '/compute/allow/1', /"MARS" is neither/],
    ['a code in small letters', allow(['de']), '/compute/allow/0', /write DE/],
    ['UK for GB', allow(['UK']), '/compute/allow/0', /write GB/],
    [
      'an unknown group',
      { ...eu, ingress: { allow: ['BRICS'] } },
      '/ingress/allow/0',
      /EU, EEA, ADEQUATE, US_ALL, WORLD/,
    ],
    ['an empty allow list', allow([]), '/compute/allow', /name at least one/],
    ['an empty ingress', { ...eu, ingress: { allow: [] } }, '/ingress/allow', /name at least one/],
    [
      'allow minus deny empty',
      allow(['EU'], ['EEA']),
      '/compute/deny',
      /no node could ever run a job/,
    ],
    ['phi on public nodes', phi, '/nodeTrust', /set it to "dedicated"/],
    [
      'phi on verified nodes',
      { ...phi, nodeTrust: 'verified' },
      '/nodeTrust',
      /dedicated nodes only/,
    ],
    [
      'an opt-in for phi',
      { ...phi, nodeTrust: 'dedicated', personalOnPublicNodes: true },
      '/personalOnPublicNodes',
      /opens nothing for phi/,
    ],
    [
      'an opt-in for special',
      { ...eu, dataClass: 'special', personalOnPublicNodes: true },
      '/personalOnPublicNodes',
      /leave it out/,
    ],
    [
      'storage nobody can give',
      { ...eu, storage: 'fedramp' },
      '/storage',
      /records are kept in "any"/,
    ],
    [
      'an unknown list of groups',
      { ...eu, regions: 20240101 },
      '/regions',
      /the newest is 20261101/,
    ],
    [
      'an unknown verification',
      { ...eu, verification: 'trusted' },
      '/verification',
      /"none" or "replicated"/,
    ],
    ['an invalid network name', { ...eu, network: 'My Net' }, '/network', /lower-case/],
    ['retention of no days', { ...eu, retentionDays: 0 }, '/retentionDays', /at least 1$/],
    ['an unknown member', { ...eu, computeAllow: ['DE'] }, '/computeAllow', /is unknown/],
  ]
  it.each(CONTRADICTIONS)(
    'with %s are refused with the field and a remedy',
    async (_, json, pointer, says) => {
      for (const reply of [await put('bad', json), await dryRun({ draft: json })]) {
        const [fault] = problem(reply, 'invalid_request').errors ?? []
        expect(fault?.pointer.replace(/^\/draft/, '')).toBe(pointer)
        expect(fault?.detail).toMatch(says)
      }
      problem(await worker.call('GET', '/v1/policies/bad', { key }), 'not_found')
    },
  )

  it('with a wrong or unknown id are refused', async () => {
    const unnamed = problem(await put('UPPER', { compute: { allow: ['DE'] } }), 'invalid_request')
    expect(unnamed).toMatchObject({ detail: expect.stringContaining('path') as string })
    expect(unnamed.errors).toBeUndefined()
    problem(await put('one', { id: 'other', compute: { allow: ['DE'] } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-policy': 'nowhere' } }), 'invalid_request')
    problem(
      await embed({ policy: 'alps' }, { headers: { 'x-littoral-policy': 'personal-eea' } }),
      'invalid_request',
    )
  })

  it('of a megabyte are refused by size, before they are parsed', async () => {
    const body = '{'.repeat(1024 * 1024)
    problem(await worker.call('PUT', '/v1/policies/big', { key, body }), 'too_large')
    problem(await worker.call('POST', '/v1/policies/dry-run', { key, body }), 'too_large')
  })

  it('can be read in every version and as a list', async () => {
    await put('kept', { compute: { allow: ['ADEQUATE'] }, retentionDays: 7 })
    const get = (path: string) => worker.call('GET', `/v1/policies/kept${path}`, { key })
    const first = replies.PolicyReply.parse((await get('/versions/1')).body)
    expect(first).toMatchObject({ version: 1, policy: { retentionDays: 7, regions: 20261101 } })
    await put('kept', { compute: { allow: ['ADEQUATE'] }, regions: 20251231 })
    const newest = replies.PolicyReply.parse((await get('')).body)
    expect(newest).toMatchObject({ version: 2, policy: { regions: 20251231 } })
    expect(
      first.computeCountries.filter((code) => !newest.computeCountries.includes(code)),
    ).toEqual(['BR'])
    const all = replies.PolicyVersionsReply.parse((await get('/versions')).body)
    expect(all).toEqual({ id: 'kept', versions: [newest, first] })
    for (const path of ['/versions/3', '/versions/0', '/versions/x', '/versions/1.5']) {
      problem(await get(path), 'not_found')
    }
    problem(await worker.call('GET', '/v1/policies/absent', { key }), 'not_found')
    problem(await worker.call('GET', '/v1/policies/absent/versions', { key }), 'not_found')
  })

  it('of another tenant look as if they did not exist', async () => {
    await put('private', { compute: { allow: ['DE'] } })
    const other = await worker.operator.createKey({
      tenant: 'stranger',
      scopes: ['infer', 'policy'],
    })
    const as = { key: other.key }
    problem(await worker.call('GET', '/v1/policies/private', as), 'not_found')
    problem(await worker.call('GET', '/v1/policies/private/versions/1', as), 'not_found')
    problem(await worker.call('POST', '/v1/policies/private/default', as), 'not_found')
    const used = await embed({ policy: 'private' }, as)
    expect(problem(used, 'invalid_request').detail).toContain(
      'no policy "private"; there are personal-eea',
    )
    const tried = await dryRun({ policy: 'private' }, other.key)
    expect(problem(tried, 'invalid_request').errors?.[0]?.pointer).toBe('/policy')
    problem(await dryRun({ policy: 'private', version: 1 }, other.key), 'not_found')
  })

  it('[E6] are refused when they pin records to a place that this deployment lacks', async () => {
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

describe('a dry run', () => {
  it('without a node says what is needed, for a policy, a version and a draft', async () => {
    for (const allow of [['AT'], ['CH']]) {
      const json = { ingress: { allow: ['WORLD'] }, compute: { allow } }
      await worker.call('PUT', '/v1/policies/tried', { key, json })
    }
    const told = async (json: object) => replies.DryRunReply.parse((await dryRun(json)).body)
    const newest = await told({ policy: 'tried' })
    expect(newest).toMatchObject({
      policy: { id: 'tried', version: 2 },
      computeCountries: ['CH'],
      ingress: { country: 'DE', source: 'operator', verdict: 'allow' },
      hubs: [{ verdict: 'allow', isLive: true }],
      nodes: [],
      outcome: { code: 'no_capacity', rule: null },
    })
    expect(newest.outcome.needed).toBe(
      'a node in CH with evidence observed or better, verified or better for personal data, vouched for by operator or own',
    )
    expect((await told({ policy: 'tried', version: 1 })).computeCountries).toEqual(['AT'])
    const draft = {
      compute: { allow: ['EU'] },
      ingress: { allow: ['CH'] },
      minEvidence: 'bounded',
      dataClass: 'phi',
      nodeTrust: 'dedicated',
      network: 'clinics',
      verification: 'replicated',
    }
    const drafted = await told({ draft })
    expect(drafted).toMatchObject({
      policy: { id: 'draft', version: null, hash: null },
      ingress: { verdict: 'ingress.allow' },
      outcome: {
        code: 'residency_ingress_denied',
        rule: 'ingress.allow',
        needed: 'a TLS connection that ends in CH',
      },
    })
    expect(drafted.ingress.sentence).toContain('entered in Germany (DE)')
    const narrowed = await told({ policy: 'tried', residency: { allow: ['FR'] } })
    expect(narrowed.outcome).toMatchObject({
      code: 'residency_unsatisfiable',
      rule: 'compute.allow',
      needed: 'a narrowing that leaves one of CH',
    })
    expect((await told({})).policy.id).toBe('personal-eea')
  })

  it('of something unknown, or of two things at once, is refused', async () => {
    expect(
      problem(await dryRun({ policy: 'absent' }), 'invalid_request').errors?.[0]?.pointer,
    ).toBe('/policy')
    problem(await dryRun({ policy: 'personal-eea', version: 99 }), 'not_found')
    const both = await dryRun({ policy: 'personal-eea', draft: { compute: { allow: ['DE'] } } })
    expect(problem(both, 'invalid_request').errors?.[0]?.pointer).toBe('/draft')
    problem(await dryRun({ residency: { allow: ['MARS'] } }), 'invalid_request')
    problem(await worker.call('POST', '/v1/policies/dry-run', { json: {} }), 'unauthenticated')
  })
})

describe('residency of a request', () => {
  it('[E7] can be narrowed, but not to nothing', async () => {
    const narrowed = await embed({}, { headers: { 'x-littoral-residency': 'US' } })
    expect(problem(narrowed, 'residency_unsatisfiable').rule).toBe('compute.allow')
    const both = await embed(
      { residency: { allow: ['FR'] } },
      { headers: { 'x-littoral-residency': 'DE' } },
    )
    expect(problem(both, 'residency_unsatisfiable').rule).toBe('compute.allow')
    problem(await embed({ residency: { allow: ['MARS'] } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-residency': 'EU,MARS' } }), 'invalid_request')
    problem(await embed({}, { headers: { 'x-littoral-residency': 'FR,DE' } }), 'no_capacity')
    // A repeated header arrives like this, and the union would be wider than either.
    problem(await embed({}, { headers: { 'x-littoral-residency': 'FR, DE' } }), 'invalid_request')
  })

  it('[E2] is refused at a wrong ingress before its body is read', async () => {
    const json = { ingress: { allow: ['CH'] }, compute: { allow: ['EU'] } }
    await worker.call('PUT', '/v1/policies/swiss-door', { key, json })
    const unsent = (headers: Readonly<Record<string, string>> = {}) =>
      callUnsent(`${worker.workerd.url}/v1/embeddings`, {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': '1000',
        'x-littoral-policy': 'swiss-door',
        ...headers,
      })
    problem(await unsent({ 'x-littoral-simulated-ingress': 'CH' }), 'invalid_request')
    const refused = problem(await unsent(), 'residency_ingress_denied')
    expect(refused).toMatchObject({
      rule: 'ingress.allow',
      needed: 'a TLS connection that ends in CH',
    })
    expect(refused.detail).toContain('entered in DE')
    problem(await embed({ policy: 'swiss-door' }), 'residency_ingress_denied')
  })

  it('[E2] is refused where the ingress is unknown', async () => {
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
