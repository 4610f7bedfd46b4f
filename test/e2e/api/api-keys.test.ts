/** A tenant's keys over HTTP, and how fast changes of keys and policies take effect. */
import { describe, expect, it } from 'vitest'
import { until } from '#test/support/poll.ts'
import { problem } from '#test/support/stack/problem.ts'
import { ADMISSION_SECRET, type CallOptions, useWorker } from '#test/support/stack/worker.ts'
import { verifyAdmission } from '#worker/edge/admission.ts'
import { CreatedKeyReply, KeyReply, KeysReply, RotatedKeyReply } from '#shared/api/keys.ts'
import { AdmissionReply } from '#shared/api/network.ts'
import { PoliciesReply } from '#shared/api/policies.ts'
import { openOnce } from '#test/support/open-once.ts'

const worker = useWorker('production', {}, { twin: true })
const admin = openOnce(() =>
  worker.operator.createKey({
    tenant: 'acme',
    scopes: ['admin', 'infer', 'node'],
    networks: ['clinics', 'harbours'],
  }),
)

const keys = (method: string, path = '', options: CallOptions = {}) =>
  worker.call(method, `/v1/keys${path}`, { key: admin.key, ...options })

async function make(json: object, by = admin.key) {
  const reply = await keys('POST', '', { key: by, json })
  expect(reply.status, JSON.stringify(reply.body)).toBe(201)
  return CreatedKeyReply.parse(reply.body)
}

const works = async (key: string, options: CallOptions = {}) =>
  (await worker.call('GET', '/v1/policies', { key, ...options })).status === 200

describe('[A7] keys of a tenant', () => {
  it('are made by an admin key, work at once, and are listed without their secrets', async () => {
    const made = await make({ scopes: ['infer'] })
    expect(await works(made.key)).toBe(true)
    const listed = await keys('GET')
    expect(KeysReply.parse(listed.body).keys.map(({ id }) => id)).toContain(made.id)
    expect(JSON.stringify(listed.body)).not.toContain(made.key)
    problem(await keys('POST', '', { key: made.key, json: {} }), 'forbidden')
    problem(await keys('GET', '', { key: made.key }), 'forbidden')
  })

  it('show their name, end and last use', async () => {
    const expiresAtMs = Date.now() + 86_400_000
    const made = await make({ scopes: ['infer'], name: 'Sensor 7', expiresAtMs })
    expect(made).toMatchObject({ name: 'Sensor 7', expiresAtMs, lastUsedAtMs: null })
    const listed = async () =>
      KeysReply.parse((await keys('GET')).body).keys.find(({ id }) => id === made.id)
    expect(await listed()).toMatchObject({ name: 'Sensor 7', lastUsedAtMs: null })
    expect(await works(made.key)).toBe(true)
    await until('its use is told', async () => ((await listed())?.lastUsedAtMs ?? null) !== null)
    const past = await keys('POST', '', { json: { expiresAtMs: 1 } })
    expect(problem(past, 'invalid_request').errors?.[0]?.pointer).toBe('/expiresAtMs')
    problem(await keys('POST', '', { json: { name: 'two\nlines' } }), 'invalid_request')
  })

  it('never get more than the key that makes them', async () => {
    const policyAdmin = await make({ scopes: ['admin'] })
    const asked = (json: object) => keys('POST', '', { key: policyAdmin.key, json })
    expect(problem(await asked({ scopes: ['infer'] }), 'forbidden').detail).toContain('scope infer')
    expect(problem(await asked({ scopes: ['node'] }), 'forbidden').detail).toContain('scope node')
    const network = await asked({ scopes: ['audit'], networks: ['clinics'] })
    expect(problem(network, 'forbidden').detail).toContain('network clinics')
    expect((await asked({ scopes: ['admin', 'policy', 'audit'] })).status).toBe(201)
    const infer = await make({ scopes: ['infer'] })
    // Whoever rotates a key sees its secret.
    problem(await keys('POST', `/${infer.id}/rotate`, { key: policyAdmin.key }), 'forbidden')
  })

  it('work with the new secret after a rotation, and with the previous one during the overlap', async () => {
    const made = await make({ scopes: ['infer'] })
    const rotate = async (json: object) =>
      RotatedKeyReply.parse((await keys('POST', `/${made.id}/rotate`, { json })).body)
    const second = await rotate({ overlapSeconds: 2 })
    expect(second.id).toBe(made.id)
    expect([await works(made.key), await works(second.key)]).toEqual([true, true])
    await until('the first secret has ended', async () => !(await works(made.key)))
    expect(Date.now()).toBeGreaterThanOrEqual(second.formerUntilMs ?? Infinity)
    expect(await works(second.key)).toBe(true)
    const third = await rotate({})
    expect(third.formerUntilMs).toBeNull()
    expect([await works(second.key), await works(third.key)]).toEqual([false, true])
    const tooLong = await keys('POST', `/${made.id}/rotate`, { json: { overlapSeconds: 3_601 } })
    expect(problem(tooLong, 'invalid_request').errors?.[0]?.pointer).toBe('/overlapSeconds')
  })

  it('with networks vouch for nodes of those networks only', async () => {
    const vouching = await make({ scopes: ['node'], networks: ['clinics'] })
    const nodeId = '12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij'
    const admit = async (options: CallOptions) => {
      const json = { nodeId, claim: 'DE' }
      const reply = await worker.call('POST', '/v1/nodes/admission', { json, ...options })
      const { token } = AdmissionReply.parse(reply.body)
      return verifyAdmission(token, { secret: ADMISSION_SECRET, nowMs: Date.now(), hub: 'hub-0' })
    }
    const known = { trust: 'verified', networks: ['clinics'] }
    expect(await admit({ key: vouching.key })).toMatchObject(known)
    expect(await admit({})).toMatchObject({ trust: 'public', networks: [] })
  })

  it('end when revoked, and cannot be rotated back', async () => {
    const made = await make({ scopes: ['infer'] })
    const revoked = KeyReply.parse((await keys('DELETE', `/${made.id}`)).body)
    expect(revoked.revokedAtMs).not.toBeNull()
    problem(await worker.call('GET', '/v1/policies', { key: made.key }), 'unauthenticated')
    problem(await keys('POST', `/${made.id}/rotate`), 'not_found')
  })

  it('of another tenant look as if they did not exist', async () => {
    const other = await worker.operator.createKey({ tenant: 'other', scopes: ['admin'] })
    for (const [method, path] of [
      ['DELETE', `/${other.id}`],
      ['POST', `/${other.id}/rotate`],
      ['DELETE', '/key_acme_000000000000'],
      ['DELETE', '/nonsense'],
    ] as const) {
      problem(await keys(method, path), 'not_found')
    }
    expect(await works(other.key)).toBe(true)
  })

  it('include an admin key, unless the last one is revoked on purpose', async () => {
    const last = await worker.operator.createKey({ tenant: 'alone', scopes: ['admin'] })
    const revoke = (query = '') => keys('DELETE', `/${last.id}${query}`, { key: last.key })
    const refused = problem(await revoke(), 'invalid_request')
    expect(refused.detail).toContain('last admin key')
    expect(await works(last.key)).toBe(true)
    expect((await revoke('?last_admin=true')).status).toBe(200)
    expect(await works(last.key)).toBe(false)
  })
})

describe('[A8] a change holds in every isolate within 30 s', () => {
  // Two isolates of one Worker over the same Durable Objects; each has its own cache.
  it('for a key, a policy and the default policy, as seen by the other isolate', async () => {
    const at = { atTwin: true }
    const made = await make({ scopes: ['infer', 'policy'] })
    const spare = await make({ scopes: ['infer'] })
    const put = (allow: string[]) =>
      worker.call('PUT', '/v1/policies/moving', { key: made.key, json: { compute: { allow } } })
    await put(['DE'])
    const seen = async () => {
      const body = PoliciesReply.parse(
        (await worker.call('GET', '/v1/policies', { key: made.key, ...at })).body,
      )
      const { version } = body.policies.find(({ policy }) => policy.id === 'moving') ?? {}
      return `${body.default} ${version}`
    }
    await until('the twin knows both keys', async () => works(spare.key, at))
    expect(await seen()).toBe('personal-eea 1')

    await Promise.all([
      put(['AT']),
      worker.call('POST', '/v1/policies/moving/default', { key: made.key }),
      keys('DELETE', `/${spare.id}`),
    ])
    // The isolate that made the changes sees them at once; the other may use its cache for a while.
    expect(await works(spare.key)).toBe(false)
    await until('the revoked key is refused', async () => !(await works(spare.key, at)))
    await until('the new version is default', async () => (await seen()) === 'moving 2')
  })
})
