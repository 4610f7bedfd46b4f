/** The pure rules of a batch: back-off, reductions, webhook addresses and signatures, jurisdiction. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { batchHome, newBatchId } from '#worker/api/jobs/home.ts'
import {
  backOffMs,
  createWindow,
  judgeFailure,
  JOBS_RETRY_MAX_MS,
  JOBS_RETRY_MIN_MS,
} from '#worker/jobs/authority/judge.ts'
import { countRange, rangeBytes } from '#worker/jobs/run/plan.ts'
import { batchJurisdiction, type Reduction } from '#worker/protocols/batch.ts'
import { createReducer } from '#worker/jobs/run/reduce.ts'
import { webhookUrlFault } from '#worker/jobs/delivery/webhook-url.ts'
import { deliverMessage, newSecret, readSecret } from '#worker/jobs/delivery/webhook.ts'
import { floats } from '#test/support/storage/batch.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

const half = () => 0.5

describe('[B2] back-off', () => {
  it('doubles up to its bound, with a jitter of up to one half', () => {
    for (let attempt = 1; attempt < 60; attempt += 1) {
      const fullMs = Math.min(JOBS_RETRY_MAX_MS, JOBS_RETRY_MIN_MS * 2 ** (attempt - 1))
      expect(backOffMs(attempt, () => 0)).toBe(Math.round(fullMs / 2))
      expect(backOffMs(attempt, () => 0.999_999)).toBeLessThanOrEqual(fullMs)
    }
  })

  it('retries only what another node may do', () => {
    const facts = { failures: 1, pauses: 0, random: half }
    const kinds = (codes: readonly AppError['code'][]) =>
      codes.map((code) => judgeFailure(new AppError(code, ''), facts).kind)
    expect(kinds(['node_lost', 'node_timeout', 'internal', 'cancelled'])).toEqual(
      Array(4).fill('retry'),
    )
    expect(kinds(['no_capacity', 'rate_limited', 'residency_unsatisfiable'])).toEqual(
      Array(3).fill('pause'),
    )
    expect(kinds(['invalid_request', 'too_large', 'payment_required', 'forbidden'])).toEqual(
      Array(4).fill('fail'),
    )
  })
})

describe('the window of items under way', () => {
  it('grows with quick answers, halves with losses, and stays within its bounds', () => {
    const window = createWindow(20)
    expect(window.size()).toBe(8)
    for (let i = 0; i < 40; i += 1) window.answered(100)
    expect(window.size()).toBe(20)
    window.failed()
    expect(window.size()).toBe(10)
    window.answered(30_000)
    expect(window.size()).toBe(9)
    for (let i = 0; i < 20; i += 1) window.failed()
    expect(window.size()).toBe(1)
  })
})

describe('[B7] built-in reductions', () => {
  const reduce = (op: Reduction, ...outputs: readonly Uint8Array[]) => {
    const reducer = createReducer(op, 'FP32')
    for (const output of outputs) reducer.add(output)
    const { header, bytes } = reducer.finish()
    return header.datatype === 'FP64'
      ? [...new Float64Array(bytes.slice().buffer)]
      : [...new Float32Array(bytes.slice().buffer)]
  }

  it('work element by element, in f64', () => {
    const outputs = [floats(1, -5), floats(2, 7), floats(6, 1)]
    expect(reduce('sum', ...outputs)).toEqual([9, 3])
    expect(reduce('mean', ...outputs)).toEqual([3, 1])
    expect(reduce('max', ...outputs)).toEqual([6, 7])
    expect(reduce('min', ...outputs)).toEqual([1, -5])
    expect(reduce('concat', ...outputs)).toEqual([1, -5, 2, 7, 6, 1])
    const tiny = Array.from({ length: 1_000 }, () => floats(0.1))
    expect(reduce('sum', ...tiny)[0]).toBeCloseTo(100.000_001_49, 8)
  })

  it('pass NaN on', () => {
    for (const op of ['sum', 'mean', 'max', 'min'] as const) {
      expect(reduce(op, floats(1), floats(NaN), floats(2))).toEqual([NaN])
    }
  })

  it('read unaligned bytes and every datatype', () => {
    const bytes = new Uint8Array([0, 255, 1, 0, 0, 0]).subarray(1, 5)
    const reducer = createReducer('sum', 'UINT16')
    reducer.add(bytes)
    expect([...new Float64Array(reducer.finish().bytes.slice().buffer)]).toEqual([511, 0])
    expect(() => createReducer('sum', 'UINT32').add(new Uint8Array(6))).toThrow(
      'not a multiple of the size of UINT32',
    )
  })
})

describe('a range', () => {
  it('is covered without gap or overlap, and the last item is cut off', () => {
    const range = { start: 10, end: 37, step: 10, seed: 3 }
    expect(countRange(range)).toBe(3)
    const items = [0, 1, 2].map((i) => [...new Uint32Array(rangeBytes(range, i).buffer)])
    expect(items).toEqual([
      [0, 10, 20, 3],
      [1, 20, 30, 3],
      [2, 30, 37, 3],
    ])
  })
})

describe('[B8] the address of a webhook', () => {
  const fault = (url: string, loopback = false) => webhookUrlFault(url, { loopback })

  it('is public https', () => {
    for (const url of [
      'https://example.org/hook',
      'https://8.8.8.8:8443/',
      'https://[2606:4700::1111]/',
    ]) {
      expect({ url, fault: fault(url) }).toEqual({ url, fault: undefined })
    }
  })

  it('is refused when it is private, in any notation', () => {
    const hosts =
      '127.0.0.1 2130706433 0x7f.1 017700000001 10.1.2.3 172.31.0.1 192.168.1.1 169.254.169.254 100.64.0.1 ' +
      '0.0.0.0 224.0.0.1 255.255.255.255 [::1] [::] [fe80::1] [fd00::1] [::ffff:10.0.0.1] [64:ff9b::a00:1] ' +
      '[2002:a00:1::] [2001::1] localhost LOCALHOST. a.localhost db db.internal printer.local router.home.arpa ' +
      '１２７.０.０.１'
    for (const host of hosts.split(' ')) {
      expect({ host, isRefused: fault(`https://${host}/`) !== undefined }).toEqual({
        host,
        isRefused: true,
      })
    }
  })

  it('is refused with credentials or another scheme', () => {
    for (const url of [
      'http://example.org/',
      'https://a:b@example.org/',
      'ftp://example.org/',
      'x',
    ]) {
      expect(fault(url)).toBeDefined()
    }
    expect(fault('http://127.0.0.1:4000/')).toBeDefined()
    expect(fault('http://127.0.0.1:4000/', true)).toBeUndefined()
    expect(fault('http://10.0.0.1/', true)).toBeDefined()
  })
})

describe("[B8] a webhook's signature", () => {
  it('verifies for its message and for no other', async () => {
    const secret = newSecret(randomBytes)
    const message = { id: 'msg_1', body: '{"ü":1}' }
    const sent: Request[] = []
    await deliverMessage({ url: 'https://example.org/', secret }, message, {
      nowMs: Date.now(),
      send: async (request) => (sent.push(request), new Response()),
    })
    const headers = Object.fromEntries(sent[0]?.headers ?? [])
    expect(new Webhook(secret).verify(message.body, headers)).toEqual({ ü: 1 })
    expect(() => new Webhook(secret).verify('{"ü":2}', headers)).toThrow()
    expect(() => new Webhook(newSecret(randomBytes)).verify(message.body, headers)).toThrow()
  })

  it('needs a secret of 24 to 64 bytes', () => {
    const secretOf = (sizeBytes: number) => newSecret(() => randomBytes(sizeBytes))
    expect([23, 24, 64, 65].map((size) => readSecret(secretOf(size)) !== undefined)).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect(readSecret('whsec_%%%')).toBeUndefined()
  })

  it('follows no redirect, and ends with 410', async () => {
    const webhook = { url: 'https://example.org/', secret: newSecret(randomBytes) }
    const deliver = (status: number) =>
      deliverMessage(
        webhook,
        { id: 'msg_1', body: '{}' },
        {
          nowMs: 1,
          send(request) {
            expect(request.redirect).toBe('manual')
            return Promise.resolve(new Response(null, { status }))
          },
        },
      )
    expect(await deliver(204)).toBe('delivered')
    expect(await deliver(302)).toBe('failed')
    expect(await deliver(500)).toBe('failed')
    expect(await deliver(410)).toBe('refused')
  })
})

describe('[B9] the jurisdiction of a batch', () => {
  const tenant = TenantId.parse('acme')
  const policy = (fields: object) =>
    compilePolicy(asPolicy({ id: 'p', ...fields }), { tenant, version: 1 })
  const cloud = { deployment: 'cloudflare' as const }

  it('is that of the policy, else of the tenant, else around the countries of the policy', () => {
    const world = { compute: { allow: ['WORLD'] } }
    expect(batchHome(policy({ ...world, storage: 'us' }), tenant, cloud)).toBe('us')
    expect(batchHome(policy(world), TenantId.parse('eu--acme'), cloud)).toBe('eu')
    expect(batchHome(policy(world), tenant, cloud)).toBe('any')
    expect(batchHome(policy({ compute: { allow: ['DE', 'NO'] } }), tenant, cloud)).toBe('eu')
    expect(batchHome(policy({ compute: { allow: ['US'] } }), tenant, cloud)).toBe('us')
    expect(batchHome(policy({ compute: { allow: ['DE'] } }), tenant, { deployment: 'any' })).toBe(
      'any',
    )
  })

  it('is in its id', () => {
    expect(batchJurisdiction(newBatchId('eu', randomBytes))).toBe('eu')
    expect(batchJurisdiction(newBatchId('fedramp-high', randomBytes))).toBe('fedramp-high')
    expect(batchJurisdiction(newBatchId('any', randomBytes))).toBe('any')
  })
})
