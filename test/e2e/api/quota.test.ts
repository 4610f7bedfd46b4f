/** Quotas in plain workerd without nodes: a request that fails counts like any other. */
import { describe, expect, it } from 'vitest'
import { problem } from '#test/support/stack/problem.ts'
import { computeRequest } from '#test/support/compute-request.ts'
import { type Reply, useWorker } from '#test/support/stack/worker.ts'
import { QuotaReply } from '#shared/api/keys.ts'

const LIMIT = 20

const worker = useWorker('production')

async function createTenant(tenant: string, quota?: object): Promise<string> {
  const { key } = await worker.operator.createKey({ tenant, scopes: ['infer'] })
  if (quota !== undefined) expect((await setQuota(tenant, quota)).status).toBe(200)
  return key
}

const setQuota = (tenant: string, json: object) =>
  worker.call('PUT', `/v1/operator/quotas/${tenant}`, { key: worker.operator.key, json })
const embed = (key: string) =>
  worker.call('POST', '/v1/embeddings', {
    key,
    json: { model: 'littoral-embed-400k', input: 'a' },
  })

function standing({ headers }: Reply) {
  const policy = /^"requests";q=(\d+);w=(\d+)$/.exec(headers.get('ratelimit-policy') ?? '')
  const now = /^"requests";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '')
  return {
    limit: Number(policy?.[1]),
    windowSeconds: Number(policy?.[2]),
    remaining: Number(now?.[1]),
    resetSeconds: Number(now?.[2]),
  }
}

const minute = () => Math.floor(Date.now() / 60_000)

/** Repeats the work if a minute ended in between, because a new quota began then. */
async function withinOneMinute<T>(work: (turn: number) => Promise<T>): Promise<T> {
  for (let turn = 1; ; turn += 1) {
    const began = minute()
    const result = await work(turn)
    if (minute() === began) return result
  }
}

describe('a quota of requests', () => {
  it('[Q1] has a generous default, which every inference answer states', async () => {
    const reply = await embed(await createTenant('plain'))
    problem(reply, 'no_capacity')
    expect(standing(reply)).toMatchObject({ limit: 600_000, windowSeconds: 60 })
    expect(standing(reply).remaining).toBe(599_999)
    expect(standing(reply).resetSeconds).toBeLessThanOrEqual(60)
    expect((await worker.call('GET', '/v1/models')).headers.has('ratelimit')).toBe(false)
  })

  it('[Q2] admits exactly its number of requests, and says when to retry', async () => {
    const answers = await withinOneMinute(async (turn) => {
      const key = await createTenant(`small-${turn}`, { requestsPerMinute: LIMIT })
      return Promise.all(Array.from({ length: LIMIT * 2 }, () => embed(key)))
    })
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(LIMIT)
    for (const reply of refused) {
      const { detail } = problem(reply, 'rate_limited')
      expect(detail).toContain(`${LIMIT} requests a minute`)
      const { limit, remaining, resetSeconds } = standing(reply)
      expect({ limit, remaining }).toEqual({ limit: LIMIT, remaining: 0 })
      expect(reply.headers.get('retry-after')).toBe(String(resetSeconds))
    }
    const low = answers.filter(({ status }) => status !== 429).map((r) => standing(r).remaining)
    expect(Math.min(...low)).toBe(0)
  })

  it('does not affect another tenant', async () => {
    problem(await embed(await createTenant('neighbour')), 'no_capacity')
  })

  it('survives a restart of the Worker', async () => {
    const answers = await withinOneMinute(async (turn) => {
      const key = await createTenant(`kept-${turn}`, { requestsPerMinute: 4 })
      const before = [await embed(key), await embed(key), await embed(key), await embed(key)]
      await worker.killAndRestart()
      return [...before, await embed(key)]
    })
    expect(answers.map(({ body }) => (body as { code: string }).code)).toEqual([
      ...Array.from({ length: 4 }, () => 'no_capacity'),
      'rate_limited',
    ])
  })

  it('is shown to the operator, and validated', async () => {
    await createTenant('shown', { requestsPerMinute: 100, spendMicroUsdPerDay: 5_000_000 })
    const path = '/v1/operator/quotas/shown'
    const shown = await worker.call('GET', path, { key: worker.operator.key })
    expect(QuotaReply.parse(shown.body)).toEqual({
      tenant: 'shown',
      requestsPerMinute: 100,
      spendMicroUsdPerDay: 5_000_000,
      requestsThisMinute: 0,
      spentMicroUsdToday: 0,
    })
    problem(await setQuota('shown', { requestsPerMinute: 0 }), 'invalid_request')
    problem(await setQuota('shown', { spendMicroUsdPerDay: '5,00' }), 'invalid_request')
    problem(await setQuota('nobody', {}), 'not_found')
    problem(await worker.call('GET', path, { key: 'x' }), 'unauthenticated')
  })

  it('keeps limits that a change omits or sends as null; only "none" removes a cap', async () => {
    const cap = { requestsPerMinute: 600_000, spendMicroUsdPerDay: 5_000_000 }
    await createTenant('partly', { spendMicroUsdPerDay: 5_000_000 })
    const changed = async (change: object) => {
      const { requestsPerMinute, spendMicroUsdPerDay } = QuotaReply.parse(
        (await setQuota('partly', change)).body,
      )
      return { requestsPerMinute, spendMicroUsdPerDay }
    }
    expect(await changed({})).toEqual(cap)
    expect(await changed({ requestsPerMinute: 1_000 })).toEqual({
      ...cap,
      requestsPerMinute: 1_000,
    })
    expect(await changed({ spendMicroUsdPerDay: null })).toMatchObject({
      spendMicroUsdPerDay: 5_000_000,
    })
    expect(await changed({ spendMicroUsdPerDay: 'none' })).toEqual({
      requestsPerMinute: 1_000,
      spendMicroUsdPerDay: null,
    })
  })
})

describe('a spending cap', () => {
  it('[Q3] refuses jobs that may cost more than is left, and returns unspent money', async () => {
    const key = await createTenant('capped', { spendMicroUsdPerDay: 100 })
    const compute = (workgroups: number) =>
      worker.call('POST', '/v1/compute', {
        key,
        json: computeRequest('@compute @workgroup_size(1) fn main() {}', workgroups),
      })
    const refused = problem(await compute(256 * 101), 'payment_required')
    expect(refused.detail).toContain('101 micro-dollars')
    // No node answers, so nothing is spent and the cap can be used repeatedly.
    for (let i = 0; i < 5; i += 1) problem(await compute(256 * 90), 'no_capacity')
  })
})
