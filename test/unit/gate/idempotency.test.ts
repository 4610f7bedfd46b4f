/** A tenant's idempotency keys with a fake clock, and the seal of kept answers. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { parseIdempotencyKey, sealRequest } from '#worker/gate/idempotency-key.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import {
  type IdempotencyHold,
  type IdempotencyVerdict,
  IDEMPOTENCY_WAIT_MS,
  IDEMPOTENCY_KEPT_MS,
} from '#worker/protocols/idempotency.ts'
import {
  IDEMPOTENCY_LEASE_MS,
  IDEMPOTENCY_KEYS,
  IDEMPOTENCY_TOTAL_BYTES,
} from '#worker/tenant/idempotency/idempotency-store.ts'
import { DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'

const request = { key: `0x${'1'.repeat(64)}`, fingerprint: `0x${'2'.repeat(64)}` } as const
const answer = { status: 200, headers: { 'x-a': 'b' }, body: new Uint8Array([1, 2, 3]) }

async function createTenant() {
  const storage = createSqliteStorage()
  const start = () => createTenantCore({ storage, nowMs: () => Date.now(), random: randomBytes })
  const core = start()
  await core.keys.create({ tenant: TenantId.parse('acme'), scopes: ['infer'] })
  return { core, storage, restart: start }
}

function held(verdict: IdempotencyVerdict): IdempotencyHold {
  if (verdict.kind !== 'run') throw new Error(`expected the right to run, got ${verdict.kind}`)
  return { ...request, token: verdict.token }
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('an idempotency key', () => {
  it('is run once, and replayed to all that came meanwhile', async () => {
    const { core } = await createTenant()
    const hold = held(await core.idempotency.begin(request))
    const waiting = Array.from({ length: 50 }, () => core.idempotency.begin(request))
    await vi.advanceTimersByTimeAsync(5_000)
    expect(core.idempotency.complete(hold, answer)).toBe(true)
    for (const verdict of await Promise.all(waiting)) {
      expect(verdict).toEqual({ kind: 'replay', answer })
    }
  })

  it('goes to exactly one waiting request once released', async () => {
    const { core } = await createTenant()
    let hold = held(await core.idempotency.begin(request))
    const outcomes: IdempotencyVerdict[] = []
    for (let i = 0; i < 10; i += 1) {
      void core.idempotency.begin(request).then((verdict) => outcomes.push(verdict))
    }
    for (let ran = 1; ran <= 3; ran += 1) {
      await vi.advanceTimersByTimeAsync(10)
      core.idempotency.release(hold, false)
      await vi.advanceTimersByTimeAsync(10)
      expect(outcomes).toHaveLength(ran)
      hold = held(outcomes.at(-1) ?? { kind: 'busy' })
    }
    core.idempotency.complete(hold, answer)
    await vi.advanceTimersByTimeAsync(10)
    expect(outcomes.filter(({ kind }) => kind === 'replay')).toHaveLength(7)
  })

  it('with another request is refused at any time', async () => {
    const { core } = await createTenant()
    const other = { ...request, fingerprint: `0x${'3'.repeat(64)}` } as const
    const hold = held(await core.idempotency.begin(request))
    expect(await core.idempotency.begin(other)).toEqual({ kind: 'reused' })
    core.idempotency.complete(hold, answer)
    expect(await core.idempotency.begin(other)).toEqual({ kind: 'reused' })
  })

  it('is awaited for a bounded time, and taken over when its holder is silent', async () => {
    const { core } = await createTenant()
    const lost = held(await core.idempotency.begin(request))
    const early = core.idempotency.begin(request)
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_WAIT_MS)
    expect(await early).toEqual({ kind: 'busy' })
    const late = core.idempotency.begin(request)
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_LEASE_MS - IDEMPOTENCY_WAIT_MS)
    const hold = held(await late)
    expect(core.idempotency.complete(lost, answer)).toBe(false)
    core.idempotency.release(lost, true)
    expect(core.idempotency.complete(hold, answer)).toBe(true)
  })

  it('is the same job each time, with later attempts, until it is answered', async () => {
    const { core, restart } = await createTenant()
    const first = await core.idempotency.begin(request)
    if (first.kind !== 'run') throw new Error(first.kind)
    const { jobId } = first.once
    expect(first.once.firstAttempt).toBe(1)
    // The first holder dies; the second gives up after a node may have had the job.
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_LEASE_MS)
    const again = await restart().idempotency.begin(request)
    if (again.kind !== 'run') throw new Error(again.kind)
    expect(again.once).toEqual({ jobId, firstAttempt: 1 + DISPATCH_ATTEMPTS })
    const later = restart()
    later.idempotency.release(held(again), true)
    const third = await later.idempotency.begin(request)
    if (third.kind !== 'run') throw new Error(third.kind)
    expect(third.once).toEqual({ jobId, firstAttempt: 1 + 2 * DISPATCH_ATTEMPTS })
  })

  it('is a new job for another request, after a run without a node, and a day after its answer', async () => {
    const { core } = await createTenant()
    const jobs: string[] = []
    const run = async (fingerprint: `0x${string}`) => {
      const verdict = await core.idempotency.begin({ ...request, fingerprint })
      if (verdict.kind !== 'run') throw new Error(verdict.kind)
      jobs.push(verdict.once.jobId)
      return { ...request, fingerprint, token: verdict.token }
    }
    core.idempotency.release(await run(request.fingerprint), true)
    core.idempotency.release(await run(`0x${'4'.repeat(64)}`), false)
    core.idempotency.complete(await run(`0x${'4'.repeat(64)}`), answer)
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_KEPT_MS)
    await run(`0x${'4'.repeat(64)}`)
    expect(new Set(jobs).size).toBe(4)
  })

  it('makes room for others once released', async () => {
    const { core, storage, restart } = await createTenant()
    core.idempotency.release(held(await core.idempotency.begin(request)), true)
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
        INSERT INTO idempotency (key, fingerprint, token, body_bytes, erase_at_ms)
        SELECT 'k' || i, '', '', 0, 9000000 FROM n`,
      IDEMPOTENCY_KEYS - 1,
    )
    const { idempotency } = restart()
    const other = { ...request, key: `0x${'8'.repeat(64)}` } as const
    expect((await idempotency.begin(other)).kind).toBe('run')
    expect((await idempotency.begin(request)).kind).toBe('full')
  })

  it('survives a restart, running or answered', async () => {
    const { core, restart } = await createTenant()
    const hold = held(await core.idempotency.begin(request))
    const again = restart()
    const waiting = again.idempotency.begin(request)
    await vi.advanceTimersByTimeAsync(100)
    expect(again.idempotency.complete(hold, answer)).toBe(true)
    expect((await waiting).kind).toBe('replay')
    expect(await restart().idempotency.begin(request)).toEqual({ kind: 'replay', answer })
  })

  it('is erased after a day, at the alarm or the next call', async () => {
    const { core, storage } = await createTenant()
    core.idempotency.complete(held(await core.idempotency.begin(request)), answer)
    expect(core.sweep()).toBe(1_000_000 + IDEMPOTENCY_KEPT_MS)
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_KEPT_MS)
    expect(core.sweep()).toBeUndefined()
    expect(storage.sql.exec('SELECT * FROM idempotency').toArray()).toEqual([])
    expect((await core.idempotency.begin(request)).kind).toBe('run')
  })

  it('costs the same however many others are kept, because no statement scans all of them', async () => {
    const { core, storage } = await createTenant()
    held(await core.idempotency.begin({ ...request, key: `0x${'3'.repeat(64)}` }))
    const statements: string[] = []
    const exec = storage.sql.exec.bind(storage.sql)
    storage.sql.exec = (query, ...bindings) => {
      statements.push(query)
      return exec(query, ...bindings)
    }
    const hold = held(await core.idempotency.begin(request))
    expect(core.idempotency.complete(hold, answer)).toBe(true)
    expect(await core.idempotency.begin(request)).toEqual({ kind: 'replay', answer })
    core.sweep()
    storage.sql.exec = exec
    const about = statements.filter((query) => query.includes('idempotency'))
    expect(about.length).toBeGreaterThan(5)
    for (const query of about.filter((text) => /^(SELECT|UPDATE|DELETE)/.test(text))) {
      const bindings = Array.from({ length: query.split('?').length - 1 }, () => 1)
      const plan = exec(`EXPLAIN QUERY PLAN ${query}`, ...bindings).toArray()
      for (const { detail } of plan) expect(`${query}: ${String(detail)}`).not.toMatch(/: SCAN/)
    }
  })

  it('frees what it stored when released, erased or taken over', async () => {
    const { core, restart } = await createTenant()
    const most = IDEMPOTENCY_TOTAL_BYTES / 4
    const body = new Uint8Array(most)
    const keyOf = (n: number) => ({ ...request, key: `0x${String(n).repeat(64)}` as const })
    const keep = async (store: typeof core, n: number) => {
      const verdict = await store.idempotency.begin(keyOf(n))
      if (verdict.kind !== 'run') throw new Error(verdict.kind)
      const hold = { ...keyOf(n), token: verdict.token }
      store.idempotency.complete(hold, { ...answer, body })
      const again = await store.idempotency.begin(keyOf(n))
      return again.kind === 'replay' && again.answer.body !== null
    }
    const lost = await core.idempotency.begin(keyOf(9))
    expect(lost.kind).toBe('run')
    for (const n of [1, 2, 3, 4]) expect(await keep(core, n)).toBe(true)
    expect(await keep(core, 5)).toBe(false)
    // After a restart the bytes are recounted; a day later all are erased.
    const later = restart()
    expect(await keep(later, 6)).toBe(false)
    await vi.advanceTimersByTimeAsync(IDEMPOTENCY_KEPT_MS)
    for (const n of [1, 2, 3, 4]) expect(await keep(later, n)).toBe(true)
    expect(await keep(later, 5)).toBe(false)
  })

  it('stores no more bytes than a tenant may, and reports the rest as not kept', async () => {
    const { core, storage, restart } = await createTenant()
    const hold = held(await core.idempotency.begin(request))
    storage.sql.exec(
      'INSERT INTO idempotency (key, fingerprint, token, body_bytes, erase_at_ms) VALUES (?, ?, ?, ?, ?)',
      'old',
      '',
      '',
      IDEMPOTENCY_TOTAL_BYTES,
      2_000_000,
    )
    const later = restart()
    later.idempotency.complete(hold, answer)
    expect(await later.idempotency.begin(request)).toEqual({
      kind: 'replay',
      answer: { ...answer, body: null },
    })
  })
})

describe('the seal of a request', () => {
  const plain = new TextEncoder().encode('the answer')
  const seal = (body: string, headers: Record<string, string> = {}, key = 'k') =>
    sealRequest(
      key,
      new Request('http://x/v1/embeddings', { method: 'POST', headers }),
      new TextEncoder().encode(body),
    )

  it('is opened only by the same request', async () => {
    const sealed = await (await seal('body')).seal(plain)
    expect(new TextDecoder().decode(sealed)).not.toContain('answer')
    expect(await (await seal('body')).open(sealed)).toEqual(plain)
    for (const other of [
      seal('Body'),
      seal('body', {}, 'K'),
      seal('body', { 'x-littoral-policy': 'p' }),
    ]) {
      await expect((await other).open(sealed)).rejects.toThrow()
    }
  })

  it('names key and request by digests that reveal neither', async () => {
    const one = await seal('body')
    const same = await seal('body', { 'x-request-id': 'another' })
    const other = await seal('another body')
    expect([one.key, one.fingerprint]).toEqual([same.key, same.fingerprint])
    expect(other.key).toBe(one.key)
    expect(other.fingerprint).not.toBe(one.fingerprint)
  })

  it.each([
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    ['"a\\"b\\\\"', 'a"b\\'],
    ['a"b', 'a"b'],
  ])('reads the key %s as %s', (header, key) => {
    expect(parseIdempotencyKey(header)).toBe(key)
  })

  it.each(['', '""', 'é', 'a\tb', 'k'.repeat(256), 'a, b', '"a", "b"', '"a'])(
    'refuses "%s" as a key',
    (header) => {
      expect(() => parseIdempotencyKey(header)).toThrow(/idempotency-key/)
    },
  )
})
