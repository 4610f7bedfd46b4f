/** The Worker's middleware around a request, over a real tenant core and without a hub. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createLog } from '#shared/base/log.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createApp } from '#worker/app.ts'
import type { ObjectNamespace, WorkerEnv } from '#worker/platform/config.ts'
import { sealRequest } from '#worker/gate/idempotency-key.ts'
import { createIsolate } from '#worker/isolate.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { remote } from '#test/support/storage/remote.ts'

// The build replaces it by a literal.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

const SECRET = 'the secret of this test'
const JSON_TYPE = { 'content-type': 'application/json' }
const PATH = '/v1/embeddings'
const BODY = JSON.stringify({ model: 'littoral-embed-400k', input: 'a' })

async function createWorker() {
  const storage = createSqliteStorage()
  const core = createTenantCore({ storage, nowMs: () => Date.now(), random: randomBytes })
  const { key } = await core.keys.create({ tenant: TenantId.parse('acme'), scopes: ['infer'] })
  const holding = (object: unknown): ObjectNamespace => ({
    getByName: () => object,
    jurisdiction: () => holding(object),
  })
  const lost = { fetch: () => Promise.reject(new Error('no hub here')) }
  const env: WorkerEnv = {
    ASSETS: lost,
    HUB: holding(lost),
    TENANT: holding(remote(core)),
    LEDGER: holding({}),
    BATCH: holding({}),
    KERNELS: holding({}),
    HUBS: 'hub-0:any',
    JURISDICTION: 'any',
    INGRESS_COUNTRY: 'DE',
    HUB_ADDRESS: '',
    ADMISSION_SECRET: SECRET,
  }
  const lines: Record<string, unknown>[] = []
  const isolate = createIsolate()
  const log = createLog({ level: 'debug', write: (line) => lines.push(JSON.parse(line) as never) })
  const app = createApp({ ...isolate, log })
  const sealedKey = await sealKey(key, SECRET)
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  return {
    core,
    lines,
    post: async (headers: Record<string, string>) => {
      const authorization = `Bearer ${sealedKey}`
      const init = {
        method: 'POST',
        body: BODY,
        headers: { authorization, ...JSON_TYPE, ...headers },
      }
      return await app.request(`http://localhost${PATH}`, init, env, context)
    },
  }
}

describe('a log line', () => {
  it('[X1] carries the trace of the caller, whatever the outcome', async () => {
    const { post, lines } = await createWorker()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await post({ traceparent: `00-${traceId}-b7ad6b7169203331-01` })
    expect(lines.length).toBeGreaterThan(0)
    expect(new Set(lines.map((line) => line['traceId']))).toEqual(new Set([traceId]))
  })
})

describe('a request', () => {
  it('[D1] with a malformed deadline is refused before it counts against the quota', async () => {
    const { post, core } = await createWorker()
    const response = await post({ 'x-littoral-deadline-ms': 'soon' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      errors: [{ pointer: '/headers/x-littoral-deadline-ms' }],
    })
    expect(core.quota.state().requestsThisMinute).toBe(0)
  })

  it('[I4] that fails releases its idempotency key', async () => {
    const { post } = await createWorker()
    for (let i = 0; i < 3; i += 1) {
      const response = await post({ 'idempotency-key': 'k' })
      expect(response.status).toBe(502)
      expect(response.headers.has('idempotency-replayed')).toBe(false)
    }
  })

  it('whose answer was too large to keep gets an error that names the receipt', async () => {
    const { post, core } = await createWorker()
    const init = { method: 'POST', body: BODY, headers: JSON_TYPE }
    const sent = new Request(`http://localhost${PATH}`, init)
    const { key, fingerprint } = await sealRequest(
      'large',
      { method: 'POST', url: sent.url, headers: sent.headers },
      new TextEncoder().encode(BODY),
    )
    const verdict = await core.idempotency.begin({ key, fingerprint })
    if (verdict.kind !== 'run') throw new Error(verdict.kind)
    const headers = { 'x-littoral-receipt': '0xabc', 'x-littoral-policy': 'personal-eea@1' }
    const hold = { key, fingerprint, token: verdict.token }
    core.idempotency.complete(hold, { status: 200, headers, body: null })
    const response = await post({
      'idempotency-key': 'large',
      'content-type': sent.headers.get('content-type') ?? '',
    })
    expect(response.status).toBe(410)
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(await response.json()).toMatchObject({
      code: 'answer_not_kept',
      detail: expect.stringContaining('receipt 0xabc'),
    })
  })
})
