/** Quotas over several isolates of one tenant, with a fake clock. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createQuotaLeases } from '#worker/protocols/quota-leases.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'

const acme = TenantId.parse('acme')
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

async function createNetwork(quota: object, isolates: number) {
  const clock = { nowMs: DAY_MS * 20_000 }
  const nowMs = () => clock.nowMs
  const core = createTenantCore({ storage: createSqliteStorage(), nowMs, random: randomBytes })
  await core.keys.create({ tenant: acme, scopes: ['infer'] })
  core.quota.set(QuotaChange.parse(quota))
  let leases = 0
  const lease = async () => {
    leases += 1
    return core.quota.leaseRequests()
  }
  const later: Promise<void>[] = []
  const all = Array.from({ length: isolates }, () => createQuotaLeases({ size: 10, nowMs }))
  return {
    clock,
    core,
    leases: () => leases,
    /** Sends one request to one isolate. @returns whether it passes */
    async ask(isolate: number): Promise<boolean> {
      try {
        await all[isolate % isolates]?.take(acme, lease, (work) => void later.push(work))
        await Promise.all(later.splice(0))
        return true
      } catch (error) {
        expect(toAppError(error).code).toBe('rate_limited')
        return false
      }
    },
    reserve: async (isolate: number, microUsd: number) => {
      const chosen = all[isolate % isolates]
      if (chosen === undefined) throw new Error('no isolate')
      return await chosen.reserve(acme, microUsd, async (wanted) => core.quota.leaseSpend(wanted))
    },
  }
}

describe('a quota of requests', () => {
  it('[Q2] is never exceeded, however requests are spread over isolates', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.nat(4), { minLength: 1, maxLength: 400 }),
        async (requestsPerMinute, isolates, order) => {
          const network = await createNetwork({ requestsPerMinute }, isolates)
          let passed = 0
          for (const isolate of order) passed += Number(await network.ask(isolate))
          expect(passed).toBeLessThanOrEqual(requestsPerMinute)
          if (isolates === 1) expect(passed).toBe(Math.min(order.length, requestsPerMinute))
        },
      ),
      { numRuns: 12 },
    )
  })

  it('leaves little unused when several isolates share it', async () => {
    const network = await createNetwork({ requestsPerMinute: 200 }, 4)
    let passed = 0
    for (let i = 0; i < 800; i += 1) passed += Number(await network.ask(i))
    expect(passed).toBe(200)
  })

  it('asks the tenant once for many requests', async () => {
    const network = await createNetwork({ requestsPerMinute: 100_000 }, 1)
    for (let i = 0; i < 10_000; i += 1) await network.ask(0)
    expect(network.leases()).toBeLessThanOrEqual(7)
  })

  it('starts again each minute', async () => {
    const network = await createNetwork({ requestsPerMinute: 2 }, 1)
    expect([await network.ask(0), await network.ask(0), await network.ask(0)]).toEqual([
      true,
      true,
      false,
    ])
    network.clock.nowMs += MINUTE_MS
    expect(await network.ask(0)).toBe(true)
  })

  it('asks the tenant nothing more once used up, until the minute ends', async () => {
    const network = await createNetwork({ requestsPerMinute: 1 }, 1)
    await network.ask(0)
    const before = network.leases()
    for (let i = 0; i < 100; i += 1) expect(await network.ask(0)).toBe(false)
    expect(network.leases()).toBe(before)
  })
})

describe('a spending cap', () => {
  it('[Q3] is never exceeded by reservations, and unspent money can be spent', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5_000 }),
        fc.array(
          fc.record({
            isolate: fc.nat(2),
            most: fc.nat(800),
            share: fc.double({ min: 0, max: 1, noNaN: true }),
          }),
          { maxLength: 60 },
        ),
        async (spendMicroUsdPerDay, jobs) => {
          const network = await createNetwork({ spendMicroUsdPerDay }, 3)
          for (const isolate of [0, 1, 2]) await network.ask(isolate)
          let spent = 0
          for (const { isolate, most, share } of jobs) {
            const cost = Math.floor(most * share)
            try {
              const settle = await network.reserve(isolate, most)
              settle(cost)
              spent += cost
            } catch (error) {
              expect(toAppError(error).code).toBe('payment_required')
            }
          }
          expect(spent).toBeLessThanOrEqual(spendMicroUsdPerDay)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('[Q3] applies to a request whose body arrives after its minute', async () => {
    const network = await createNetwork({ spendMicroUsdPerDay: 10 }, 1)
    await network.ask(0)
    network.clock.nowMs += MINUTE_MS
    await expect(network.reserve(0, 11)).rejects.toMatchObject({ code: 'payment_required' })
  })

  it('[Q3] applies when the isolate has forgotten the tenant', async () => {
    const network = await createNetwork({ spendMicroUsdPerDay: 10 }, 1)
    await expect(network.reserve(0, 11)).rejects.toMatchObject({ code: 'payment_required' })
  })

  it('costs no call to the tenant when there is none', async () => {
    const network = await createNetwork({}, 1)
    await network.ask(0)
    const settle = await network.reserve(0, 1e12)
    settle(1e12)
    expect(network.core.quota.state().spentMicroUsdToday).toBe(0)
  })

  it('is restored the next day', async () => {
    const network = await createNetwork({ spendMicroUsdPerDay: 10 }, 1)
    await network.ask(0)
    ;(await network.reserve(0, 10))(10)
    await expect(network.reserve(0, 1)).rejects.toMatchObject({ code: 'payment_required' })
    network.clock.nowMs += DAY_MS
    await network.ask(0)
    ;(await network.reserve(0, 10))(0)
  })
})
