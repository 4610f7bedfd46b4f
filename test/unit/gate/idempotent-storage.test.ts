/** Kept answers in the tenant's storage, through the middleware and real SQLite. */
import { Hono } from 'hono'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { countryBit } from '#shared/law/region.ts'
import type { AppEnv } from '#worker/gate/context.ts'
import type { WorkerEnv } from '#worker/platform/config.ts'
import { createIsolate } from '#worker/isolate.ts'
import { idempotent } from '#worker/gate/idempotent.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { remote } from '#test/support/remote.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

const acme = TenantId.parse('acme')
const JSON_TYPE = { 'content-type': 'application/json' }
const RECEIPT = `0x${'ab'.repeat(32)}`

// Like a production build.
beforeEach(() => Object.assign(globalThis, { __SIMULATED_PLACES__: false }))
afterEach(() => Reflect.deleteProperty(globalThis, '__SIMULATED_PLACES__'))

it('[AU8] a kept answer stores no receipt or node in the clear, and replays both', async () => {
  const storage = createSqliteStorage()
  const core = createTenantCore({ storage, nowMs: Date.now, random: randomBytes })
  await core.keys.create({ tenant: acme, scopes: ['infer'], networks: [] })
  core.policies.publish(asPolicy({ id: 'personal-eea', compute: { allow: ['DE'] } }))
  const app = new Hono<AppEnv>()
    .use(async (c, next) => {
      const snapshot = core.snapshot()
      if (snapshot === null) throw new Error('no tenant')
      const caller = { tenant: acme, keyId: 'k', scopes: ['infer'], networks: [], snapshot }
      c.set('caller', caller as never)
      c.set('config', { deployment: 'any', ingressCountry: countryBit('DE') } as never)
      c.set('answerHeaders', new Map())
      c.set('isolate', createIsolate())
      c.set('log', silentLog)
      c.set('policy', snapshot.policies[0]?.compiled)
      await next()
    })
    .post('/v1/x', idempotent, (c) =>
      c.text('the answer', 200, { 'x-littoral-receipt': RECEIPT, 'x-littoral-node': '12D3KooW' }),
    )
  const env = { TENANT: { getByName: () => remote(core) } } as unknown as WorkerEnv
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const ask = () =>
    app.request(
      '/v1/x',
      { method: 'POST', headers: { ...JSON_TYPE, 'idempotency-key': 'k-1' }, body: 'q' },
      env,
      context,
    )
  expect((await ask()).status).toBe(200)
  const kept = JSON.stringify(storage.sql.exec('SELECT * FROM idempotency').toArray())
  expect(kept).not.toContain(RECEIPT.slice(2))
  expect(kept).not.toContain('12D3KooW')
  const again = await ask()
  expect(await again.text()).toBe('the answer')
  expect(again.headers.get('x-littoral-receipt')).toBe(RECEIPT)
})
