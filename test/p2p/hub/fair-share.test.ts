/** Several tenants share one hub, over real work streams. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TenantId } from '#shared/base/ids.ts'
import type { KernelWork } from '#shared/job/job.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'
import { MIB } from '#shared/base/limits.ts'

const WORLD = { compute: { allow: ['WORLD'], deny: [] } }
const payload = new Uint8Array([1, 2, 3, 4])
const [acme, globex] = [TenantId.parse('acme'), TenantId.parse('globex')]

let hub: TestHubBench
let gate: PromiseWithResolvers<void>
/** Tenants whose jobs the node has begun, in order. */
let begun: string[]

beforeEach(async () => {
  hub = await createHubBench()
  gate = Promise.withResolvers()
  begun = []
  await hub.join({
    country: 'DE',
    maxJobs: 1,
    async run(offer, _payload, next) {
      begun.push(offer.ticket.tenant)
      await gate.promise
      return next()
    },
  })
})
afterEach(() => hub.close())

async function ask(tenant: TenantId, change: Partial<DispatchRequest> = {}): Promise<string> {
  const policy = compiled(WORLD, tenant)
  return hub.ask(policy, payload, { tenant, ...change }).then(
    () => 'answered',
    (error: { code: string }) => error.code,
  )
}

/** A job whose answer has this many bytes. */
async function large(tenant: TenantId, sizeBytes: number): Promise<string> {
  const policy = compiled(WORLD, tenant)
  const { work } = await kernelRequest(policy, payload)
  const [buffer] = (work as KernelWork).buffers
  if (buffer === undefined) throw new Error('no buffer')
  return ask(tenant, {
    work: {
      ...(work as KernelWork),
      buffers: [buffer, { ...buffer, binding: 1, sizeBytes, filled: false }],
    },
    timeoutMs: 300,
  })
}

describe('a hub that several tenants use', () => {
  it('[Q4] keeps room in its queue for a second tenant, however many jobs the first sends, and lets them take turns', async () => {
    const crowd = Array.from({ length: 300 }, () => ask(acme))
    await until('the node is busy', () => begun.length === 1)
    const late = ask(globex)
    gate.resolve()
    expect(await late).toBe('answered')
    expect(begun.indexOf('globex')).toBeLessThan(4)
    const answers = await Promise.all(crowd)
    expect(answers.filter((answer) => answer === 'no_capacity').length).toBe(300 - 1 - 192)
    // Jobs that have ended have returned their slots.
    expect(await Promise.all(Array.from({ length: 190 }, () => ask(globex)))).not.toContain(
      'no_capacity',
    )
  })

  it('[Q4] keeps room for a second tenant’s bytes beside all that the first may hold', async () => {
    const crowd = Array.from({ length: 5 }, () => large(acme, 12 * MIB))
    const late = large(globex, 12 * MIB)
    expect((await Promise.all(crowd)).filter((answer) => answer === 'no_capacity').length).toBe(2)
    expect(await late).toBe('node_timeout')
  })
})
