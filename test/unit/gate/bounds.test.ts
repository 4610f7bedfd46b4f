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
    const cache = createTenantCache({ maxAgeMs: 100, size: 2, nowMs: () => clock.nowMs })
    const later: Promise<unknown>[] = []
    const get = (tenant = acme, answer: Promise<typeof snapshot> = Promise.resolve(snapshot)) =>
      cache.get(
        tenant,
        () => {
          clock.loads += 1
          return answer
        },
        (work) => later.push(work.catch(() => {})),
      )
    return { cache, clock, get, later }
  }

  it('reloads an entry that is too old, and after a local change', async () => {
    const { cache, clock, get } = createCounted()
    await get()
    clock.nowMs = 74
    expect(await get()).toEqual(snapshot)
    expect(clock.loads).toBe(1)
    clock.nowMs = 100
    await get()
    expect(clock.loads).toBe(2)
    cache.forget(acme)
    await get()
    expect(clock.loads).toBe(3)
  })

  it('reloads an entry in the background before it is too old, once, so that no request waits', async () => {
    const { clock, get, later } = createCounted()
    await get()
    clock.nowMs = 80
    const slow = Promise.withResolvers<typeof snapshot>()
    for (let n = 0; n < 10; n += 1) expect(await get(acme, slow.promise)).toBe(snapshot)
    expect(clock.loads).toBe(2)
    const fresh = { ...snapshot, defaultPolicyId: 'changed' }
    slow.resolve(fresh)
    await Promise.all(later)
    clock.nowMs = 150
    expect(await get()).toBe(fresh)
    expect(clock.loads).toBe(2)
  })

  it('never serves an entry that is too old, even if no refresh succeeds', async () => {
    const { clock, get, later } = createCounted()
    await get()
    clock.nowMs = 80
    const failed = Promise.reject(new Error('lost'))
    expect(await get(acme, failed)).toBe(snapshot)
    await Promise.all(later)
    clock.nowMs = 100
    await expect(get(acme, failed)).rejects.toThrow('lost')
  })

  it('keeps no answer that was under way during a local change', async () => {
    const { cache, clock, get, later } = createCounted()
    await get()
    clock.nowMs = 80
    const old = Promise.withResolvers<typeof snapshot>()
    await get(acme, old.promise)
    cache.forget(acme)
    const changed = { ...snapshot, defaultPolicyId: 'changed' }
    expect(await get(acme, Promise.resolve(changed))).toBe(changed)
    old.resolve(snapshot)
    await Promise.all(later)
    expect(await get()).toBe(changed)
  })

  it('holds a bounded number of tenants', async () => {
    const { clock, get } = createCounted()
    for (const name of ['acme', 'b', 'c', 'acme']) await get(TenantId.parse(name))
    expect(clock.loads).toBe(4)
  })
})
