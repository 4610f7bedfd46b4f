/** How many Durable Objects the Worker asks for one request: each call costs a hop, and maybe an ocean. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { openApp } from '#test/support/worker-app.ts'
import { writeDispatch } from '#worker/protocols/envelope.ts'

// Time stands still: what an isolate has cached stays fresh on a slow machine.
beforeAll(() => {
  vi.stubGlobal('__SIMULATED_PLACES__', false)
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterAll(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const PATH = '/v1/embeddings'
const BODY = JSON.stringify({ model: 'littoral-embed-400k', input: 'a' })
const VECTOR = { name: 'embedding', datatype: 'FP32' as const, shape: [1, 128], sizeBytes: 512 }

/** Calls of a warm isolate for each request; a repeated one is answered from what the tenant keeps. */
const BUDGETS: readonly {
  readonly request: string
  readonly headers: (serial: number) => Record<string, string>
  readonly quota?: object
  readonly limit: number
  readonly goal: number
}[] = [
  { request: 'without an idempotency key or a quota', headers: () => ({}), limit: 1, goal: 1 },
  {
    request: 'under a quota that is far from used up',
    headers: () => ({}),
    quota: { requestsPerMinute: 6_000 },
    limit: 1,
    goal: 1,
  },
  {
    request: 'with an idempotency key',
    headers: (serial) => ({ 'idempotency-key': `key-${serial}` }),
    limit: 3,
    goal: 3,
  },
  {
    request: 'repeated with its idempotency key',
    headers: () => ({ 'idempotency-key': 'again' }),
    limit: 1,
    goal: 1,
  },
]

it.each(BUDGETS)(
  '[ME9] a warm request $request makes at most $limit calls to Durable Objects',
  async ({ headers, quota, limit }) => {
    const { ask, calls } = await openCounted(quota)
    await ask(headers(0))
    calls.length = 0
    for (const serial of [1, 2, 3, 4]) await ask(headers(serial))
    expect(calls.length / 4, calls.join(', ')).toBeLessThanOrEqual(limit)
    expect(calls.length).toBeGreaterThanOrEqual(4)
  },
)

it('a cold isolate reads the tenant once', async () => {
  const { ask, calls } = await openCounted()
  await ask({})
  expect(calls.filter((name) => name === 'tenant.snapshot')).toHaveLength(1)
})

async function openCounted(quota: object = {}) {
  const calls: string[] = []
  const hub = {
    fetch() {
      calls.push('hub.fetch')
      const outcome = kernelOutcome([])
      const answer = { ...outcome.answer, outputs: [VECTOR] }
      const payload = new Uint8Array(VECTOR.sizeBytes)
      return Promise.resolve(writeDispatch({ outcome: { ...outcome, answer }, payload }))
    },
  }
  const { core, post } = await openApp({ hub, tenantOf: (tenant) => counted(tenant, calls) })
  const { QuotaChange } = await import('#worker/protocols/quota.ts')
  core.quota.set(QuotaChange.parse(quota))
  const ask = async (headers: Record<string, string>): Promise<void> => {
    const response = await post(PATH, BODY, headers)
    expect(await response.text()).toContain('embedding')
  }
  return { ask, calls }
}

/** Notes the path of each method that is called. */
function counted<T extends object>(api: T, calls: string[], path = 'tenant'): T {
  return new Proxy(api, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      const own = `${path}.${String(name)}`
      if (typeof value === 'object' && value !== null) return counted(value, calls, own)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        calls.push(own)
        return Reflect.apply(value, target, args)
      }
    },
  })
}
