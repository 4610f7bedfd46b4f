/** `POST /v1/jobs` repeated with an idempotency key after a lost answer: the same batch with the same secret. */
import { beforeAll, expect, it, vi } from 'vitest'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { openApp } from '#test/support/worker-app.ts'
import type { BatchSpec } from '#worker/protocols/batch.ts'

// The build replaces this name.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

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
  const specs: BatchSpec[] = []
  const batch = {
    // The batch is created each time, but the answer is lost until the third.
    create: async (spec: BatchSpec) => {
      specs.push(spec)
      if (specs.length < 3) throw new Error('lost on the way')
      return { id: spec.id }
    },
  }
  const { core, post } = await openApp({ batch })
  core.policies.publish(
    asPolicy({ id: 'personal-eea', compute: { allow: ['DE'] }, retentionDays: 7 }),
  )
  const send = () => post('/v1/jobs', BODY, { 'idempotency-key': 'again-1' })
  const statuses = [(await send()).status, (await send()).status]
  const last = await send()
  expect([...statuses, last.status]).toEqual([500, 500, 202])
  expect(new Set(specs.map(({ id }) => id)).size).toBe(1)
  const secrets = new Set(specs.map(({ webhook }) => webhook?.secret))
  expect(secrets.size).toBe(1)
  expect(secrets).toContain(((await last.json()) as { webhookSecret: string }).webhookSecret)
  expect(core.batches.list()).toHaveLength(1)
})
