/** The Prometheus text, parsed by a strict reader of the format. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readExposition } from '#test/support/prometheus.ts'
import { exposeFamilies } from '#worker/metrics/exposition.ts'
import { createRequestMetrics } from '#worker/metrics/request-metrics.ts'
import { isFromLoopback } from '#worker/edge/place.ts'

describe('the exposition', () => {
  it('preserves every label value and number', () => {
    const value = fc.double({ noNaN: true, min: -1e300, max: 1e300 })
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), value, (text, number) => {
        const samples = [{ labels: { text }, value: number }]
        const family = {
          name: 'a_gauge',
          help: 'Help\nof \\ two lines',
          type: 'gauge',
          samples,
        } as const
        const [read] = readExposition(exposeFamilies([family])).get('a_gauge')?.samples ?? []
        expect(read?.labels).toEqual({ text })
        expect(read?.value).toBe(number === 0 ? 0 : number)
      }),
    )
  })

  it('has families without samples before anything is counted', () => {
    const families = readExposition(exposeFamilies(createRequestMetrics(() => 0).families()))
    expect(families.get('littoral_http_requests_total')?.samples).toEqual([])
  })

  it('starts with the first request, because no clock runs before', () => {
    let nowMs = 0
    const metrics = createRequestMetrics(() => nowMs)
    nowMs = 5_000
    metrics.answered({ route: '/v2', method: 'GET', status: 200, seconds: 0 })
    nowMs = 9_000
    const families = readExposition(exposeFamilies(metrics.families()))
    expect(families.get('littoral_isolate_start_time_seconds')?.samples).toMatchObject([
      { value: 5 },
    ])
  })

  it('has histograms that add up, for any durations', () => {
    const request = fc.record({
      route: fc.constantFrom('/v2', '/v1/jobs/:id', 'other'),
      method: fc.constantFrom('GET', 'POST', 'BREW'),
      status: fc.constantFrom(200, 404, 503),
      seconds: fc.double({ min: 0, max: 200, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(request), (requests) => {
        const metrics = createRequestMetrics(() => 0)
        for (const each of requests) metrics.answered(each)
        const families = readExposition(exposeFamilies(metrics.families()))
        const counts = families
          .get('littoral_http_request_duration_seconds')
          ?.samples.filter(({ name }) => name.endsWith('_count'))
        const sum = (counts ?? []).reduce((total, { value }) => total + value, 0)
        expect(sum).toBe(requests.length)
      }),
    )
  })
})

describe('reading metrics without a key', () => {
  const request = (
    clientIp: string,
    host = '127.0.0.1:8787',
    headers: Record<string, string> = {},
  ) => Object.assign(new Request(`http://${host}/metrics`, { headers }), { cf: { clientIp } })
  const here = { deployment: 'any', proxySecret: undefined, ingressCountry: 0 } as const

  it('is allowed to programs on this machine', () => {
    for (const ip of ['127.0.0.1:40000', '127.9.9.9:1', '[::1]:40000', '::1', '::ffff:127.0.0.1'])
      expect([ip, isFromLoopback(request(ip), here)]).toEqual([ip, true])
  })

  it('is refused to other machines, proxies, and pages that rebind DNS', () => {
    const refused = [
      request('10.0.0.1:40000'),
      request('1127.0.0.1:40000'),
      request(''),
      request('127.0.0.1:4', 'edge.example.org'),
      request('127.0.0.1:4', '127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }),
      request('127.0.0.1:4', '127.0.0.1', { forwarded: 'for=127.0.0.1' }),
      request('127.0.0.1:4', '127.0.0.1', { 'x-real-ip': '127.0.0.1' }),
    ]
    for (const [i, each] of refused.entries())
      expect([i, isFromLoopback(each, here)]).toEqual([i, false])
    const own = request('127.0.0.1:4')
    expect(isFromLoopback(own, { ...here, deployment: 'cloudflare' })).toBe(false)
    expect(isFromLoopback(own, { ...here, proxySecret: 'a proxy passes requests on' })).toBe(false)
  })
})
