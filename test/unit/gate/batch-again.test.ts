/** `POST /v1/jobs` repeated with an idempotency key after a lost answer: the same batch with the same secret. */
import { beforeAll, expect, it, vi } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createApp } from '#worker/app.ts'
import type { BatchSpec } from '#worker/protocols/batch.ts'
import type { ObjectNamespace, WorkerEnv } from '#worker/platform/config.ts'
import { createIsolate } from '#worker/isolate.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'

// The build replaces this name.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

const SECRET = 'the secret of this test'
const BODY = JSON.stringify({
  kernel: {
    wgsl: '@group(0) @binding(0) var<storage, read_write> x: array<f32>; @compute @workgroup_size(1) fn main() { x[0] = 1.0; }',
    entryPoint: 'main',
    workgroups: [1, 1, 1],
  },
  buffers: [{ binding: 0, access: 'read_write', sizeBytes: 4, perItem: true, return: true }],
  inputs: [{ buffers: [{ binding: 0, data: 'AACAPw==' }] }],
  webhook: { url: 'https://hooks.example.org/done' },
})

it('a repeated request is one batch with one webhook secret, however often its answer is lost', async () => {
  const core = createTenantCore({
    storage: createSqliteStorage(),
    nowMs: () => Date.now(),
    random: randomBytes,
  })
  const { key } = await core.createKey({
    tenant: TenantId.parse('acme'),
    scopes: ['infer'],
    networks: [],
  })
  core.publishPolicy(asPolicy({ id: 'personal-eea', compute: { allow: ['DE'] }, retentionDays: 7 }))
  const tenant: Partial<TenantApi> = {
    snapshot: async () => core.snapshot(),
    leaseRequests: async () => core.quotas.leaseRequests(),
    beginIdempotent: (request) => core.idempotency.begin(request),
    completeIdempotent: async (hold, answer) => core.idempotency.complete(hold, answer),
    releaseIdempotent: async (hold, isBegun) => core.idempotency.release(hold, isBegun),
    addBatch: async (id, place) => core.batches.add(id, place),
  }
  const specs: BatchSpec[] = []
  const batch = {
    // The batch is created each time, but the answer is lost until the third.
    create: async (spec: BatchSpec) => {
      specs.push(spec)
      if (specs.length < 3) throw new Error('lost on the way')
      return { id: spec.id }
    },
  }
  const holding = (object: unknown): ObjectNamespace => ({
    getByName: () => object,
    jurisdiction: () => holding(object),
  })
  const none = { fetch: () => Promise.reject(new Error('not here')) }
  const env: WorkerEnv = {
    ASSETS: none,
    HUB: holding(none),
    TENANT: holding(tenant),
    LEDGER: holding({}),
    BATCH: holding(batch),
    KERNELS: holding({}),
    HUBS: 'hub-0:any',
    JURISDICTION: 'any',
    INGRESS_COUNTRY: 'DE',
    HUB_ADDRESS: '',
    ADMISSION_SECRET: SECRET,
  }
  const app = createApp({ ...createIsolate(), log: silentLog })
  const headers = {
    authorization: `Bearer ${await sealKey(key, SECRET)}`,
    'content-type': 'application/json',
    'idempotency-key': 'again-1',
  }
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const send = () =>
    app.request('http://localhost/v1/jobs', { method: 'POST', body: BODY, headers }, env, context)
  const statuses = [(await send()).status, (await send()).status]
  const last = await send()
  expect([...statuses, last.status]).toEqual([500, 500, 202])
  expect(new Set(specs.map(({ id }) => id)).size).toBe(1)
  const secrets = new Set(specs.map(({ webhook }) => webhook?.secret))
  expect(secrets.size).toBe(1)
  expect(secrets).toContain(((await last.json()) as { webhookSecret: string }).webhookSecret)
  expect(core.batches.list()).toHaveLength(1)
})
