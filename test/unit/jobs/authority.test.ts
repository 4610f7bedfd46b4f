/** A batch whose key or policy changes while it runs. Rules: docs/design/batches.md. */
import { describe, expect, it } from 'vitest'
import { countryBit, hasCountry, isSubset } from '#shared/law/region.ts'
import { judgeAuthority } from '#worker/jobs/authority/judge-authority.ts'
import { floats, KEY, policyOf, rangeBatch, startBatch } from '#test/support/storage/batch.ts'
import { AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'
import { JOBS_AUTHORITY_MS } from '#worker/jobs/authority/authority.ts'
import { JOBS_WATCHDOG_MS } from '#worker/jobs/progress.ts'

const KEYS = [{ id: KEY, scopes: ['infer'] }]
const wordOf = (...policies: readonly ReturnType<typeof policyOf>[]) => ({
  keys: KEYS,
  policies: policies.map((compiled) => ({ compiled })),
})

describe('[B11] a batch whose key is revoked', () => {
  it('ends within 30 s and cancels its jobs; answers are kept', async () => {
    const bench = await startBatch(9, { concurrency: 3 })
    await bench.answer(floats(1))
    const underWay = [...bench.sent]
    expect(underWay).toHaveLength(3)
    bench.word = { ...wordOf(policyOf(3)), keys: [] }
    for (let waitedMs = 0; waitedMs < 30_000; waitedMs += AUTH_CACHE_MS)
      await bench.pass(AUTH_CACHE_MS)
    expect(underWay.every(({ signal }) => signal.aborted)).toBe(true)
    expect(bench.sent).toEqual([])
    const status = bench.status()
    expect(status).toMatchObject({ status: 'failed', counts: { done: 1, failed: 8 } })
    expect(status.failures[0]).toMatchObject({
      code: 'unauthenticated',
      detail: expect.stringContaining(KEY),
    })
  })

  it('ends at its next alarm when it was waiting for a slot', async () => {
    const bench = await startBatch(2)
    await bench.loseAll('no_capacity')
    bench.word = null
    bench.nowMs += AUTH_CACHE_MS
    await bench.ring()
    expect(bench.sent).toEqual([])
    expect(bench.status().status).toBe('failed')
  })

  it('also ends when the key may no longer infer', () => {
    const [spec] = rangeBatch(1)
    const word = { ...wordOf(policyOf(3)), keys: [{ id: KEY, scopes: ['audit'] }] }
    expect(judgeAuthority(spec, word)).toMatchObject({
      kind: 'stop',
      fault: { code: 'unauthenticated' },
    })
  })
})

describe('[B11] a batch whose tenant cannot be reached', () => {
  it('goes on for 30 s and then sends nothing until the tenant is back', async () => {
    const bench = await startBatch(9, { concurrency: 1 })
    bench.word = undefined
    await bench.pass(JOBS_AUTHORITY_MS - 1)
    await bench.answer(floats(0))
    expect(bench.sent).toHaveLength(1)
    bench.nowMs += 1
    await bench.answer(floats(1))
    expect(bench.sent).toEqual([])
    expect(bench.alarmMs).toBe(bench.nowMs + JOBS_WATCHDOG_MS)
    await bench.ring()
    expect(bench.sent).toEqual([])
    bench.word = wordOf(policyOf(3))
    await bench.ring()
    expect(bench.sent).toHaveLength(1)
    expect(bench.status().counts).toMatchObject({ done: 2, failed: 0 })
  })

  it('asks every ten seconds at most', async () => {
    const bench = await startBatch(9, { concurrency: 1 })
    for (let item = 0; item < 5; item += 1) {
      bench.sent[0]?.answer(floats(item))
      await bench.pass(100)
    }
    expect(bench.asked).toBe(1)
  })
})

describe('[B12] a batch whose policy has a newer version', () => {
  const running = async () => {
    const eu = policyOf(3)
    const bench = await startBatch(9, { concurrency: 1, allowed: eu.compute })
    const next = async () => {
      bench.nowMs += AUTH_CACHE_MS
      await bench.pass(0)
      await bench.answer(floats(0))
      return bench.sent[0]?.request
    }
    return { bench, next, eu }
  }

  it('sends the remaining items to the countries that both versions allow', async () => {
    const { bench, next, eu } = await running()
    const now = policyOf(4, { compute: { allow: ['FR', 'US'] } })
    bench.word = wordOf(now)
    const request = await next()
    expect(request?.policy.hash === eu.hash || request?.policy.hash === now.hash).toBe(true)
    const allowed = request?.allowed ?? eu.compute
    expect(isSubset(allowed, eu.compute) && isSubset(allowed, now.compute)).toBe(true)
    expect(hasCountry(allowed, countryBit('FR'))).toBe(true)
  })

  it('runs the rest under the stricter of the two versions', async () => {
    const { bench, next, eu } = await running()
    const strict = policyOf(4, { minEvidence: 'bounded', nodeTrust: 'verified' })
    bench.word = wordOf(strict)
    expect((await next())?.policy.hash).toBe(strict.hash)
    bench.word = wordOf(policyOf(5, { minEvidence: 'declared', compute: { allow: ['WORLD'] } }))
    const request = await next()
    expect(request?.policy.hash).toBe(eu.hash)
    expect(request?.allowed).toBe(eu.compute)
  })

  it.each([
    ['nothing in common', { compute: { allow: ['US'] } }, 'residency_unsatisfiable'],
    [
      'stricter and wider',
      { minEvidence: 'declared', nodeTrust: 'dedicated' },
      'residency_unsatisfiable',
    ],
    ['another place for records', { storage: 'us' }, 'residency_unsatisfiable'],
    [
      'another consortium and shorter',
      { network: 'grid', minEvidence: 'declared' },
      'residency_unsatisfiable',
    ],
    ['no entry from where it came', { ingress: { allow: ['FR'] } }, 'residency_ingress_denied'],
  ] as const)(
    'ends with a named error when no version satisfies both: %s',
    async (_, changes, code) => {
      const { bench, next } = await running()
      bench.word = wordOf(policyOf(4, structuredClone(changes) as Parameters<typeof policyOf>[1]))
      expect(await next()).toBeUndefined()
      const status = bench.status()
      expect(status.status).toBe('failed')
      expect(status.failures[0]?.code).toBe(code)
    },
  )

  it('returns its results only where both versions allow requests to enter, also after a restart', async () => {
    const { bench, next } = await running()
    const france = countryBit('FR')
    expect(bench.core.status(france).status).toBe('running')
    bench.word = wordOf(policyOf(4, { ingress: { allow: ['DE'] } }))
    await next()
    bench.kill()
    expect(() => bench.core.status(france)).toThrow(
      expect.objectContaining({ code: 'residency_ingress_denied' }),
    )
    expect(bench.status().status).toBe('running')
  })
})
