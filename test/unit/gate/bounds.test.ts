/** Bounds of an isolate's rate limits and tenant cache. */
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { TenantId } from '#shared/base/ids.ts'
import { createTenantCache } from '#worker/gate/tenant-cache.ts'
import { createRateLimit } from '#worker/platform/rate-limit.ts'

describe('a rate limit', () => {
  const limit = () => {
    const clock = { nowMs: 0 }
    const rate = createRateLimit({ perMinute: 2, keys: 2, nowMs: () => clock.nowMs })
    const take = (key: string) => {
      try {
        rate.take(key)
        return 'taken'
      } catch (error) {
        const { code, meta } = toAppError(error)
        return `${code} ${meta.retryAfterSeconds}`
      }
    }
    return { clock, take }
  }

  it('refuses excess requests until the minute ends, for each key separately', () => {
    const { clock, take } = limit()
    expect([take('a'), take('a'), take('b')]).toEqual(['taken', 'taken', 'taken'])
    clock.nowMs = 20_000
    expect(take('a')).toBe('rate_limited 40')
    clock.nowMs = 60_000
    expect(take('a')).toBe('taken')
  })

  it('remembers a bounded number of keys', () => {
    const { take } = limit()
    for (const key of ['a', 'a', 'a', 'b', 'c']) take(key)
    expect(take('a')).toBe('taken')
  })
})

describe('the cache of tenants', () => {
  const acme = TenantId.parse('acme')
  const snapshot = {
    tenant: acme,
    keys: [],
    policies: [],
    defaultPolicyId: 'default',
    retiredPolicies: [],
    consumer: null,
  }

  function createCounted() {
    const clock = { nowMs: 0, loads: 0 }
    const cache = createTenantCache({ maxAgeMs: 10, size: 2, nowMs: () => clock.nowMs })
    const get = (tenant = acme) =>
      cache.get(tenant, () => {
        clock.loads += 1
        return Promise.resolve(snapshot)
      })
    return { cache, clock, get }
  }

  it('reloads an entry that is too old, and after a local change', async () => {
    const { cache, clock, get } = createCounted()
    await get()
    clock.nowMs = 9
    expect(await get()).toEqual(snapshot)
    expect(clock.loads).toBe(1)
    clock.nowMs = 10
    await get()
    expect(clock.loads).toBe(2)
    cache.forget(acme)
    await get()
    expect(clock.loads).toBe(3)
  })

  it('holds a bounded number of tenants', async () => {
    const { clock, get } = createCounted()
    for (const name of ['acme', 'b', 'c', 'acme']) await get(TenantId.parse(name))
    expect(clock.loads).toBe(4)
  })
})
