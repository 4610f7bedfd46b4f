/** Counts one isolate's requests by route, never by client input. */
import { counter, gauge, type Family, type Sample } from './exposition.ts'

export interface RequestMetrics {
  /** @param seconds until the answer's headers; a stream continues after them */
  answered(request: {
    readonly route: string
    readonly method: string
    readonly status: number
    readonly seconds: number
  }): void
  refused(code: string): void
  families(): Family[]
}

const METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

interface Count {
  readonly labels: Readonly<Record<string, string>>
  value: number
}

interface Latency {
  /** Counts per bucket, not cumulative; the last is above all bounds. */
  readonly counts: number[]
  sumSeconds: number
}

export function createRequestMetrics(nowMs: () => number): RequestMetrics {
  /** Set by the first request: outside of one, workerd's clock is 0. */
  let startedMs: number | undefined
  const requests = new Map<string, Count>()
  const refusals = new Map<string, number>()
  const latencies = new Map<string, Latency>()
  return {
    answered({ route, method: given, status, seconds }) {
      startedMs ??= nowMs()
      const method = METHODS.includes(given) ? given : 'other'
      const key = `${method} ${status} ${route}`
      const labels = { route, method, status: String(status) }
      const known = requests.get(key) ?? { labels, value: 0 }
      known.value += 1
      requests.set(key, known)
      const latency = latencies.get(route) ?? {
        counts: Array.from({ length: BUCKETS.length + 1 }, () => 0),
        sumSeconds: 0,
      }
      const above = BUCKETS.findIndex((bound) => seconds <= bound)
      const place = above === -1 ? BUCKETS.length : above
      latency.counts[place] = (latency.counts[place] ?? 0) + 1
      latency.sumSeconds += seconds
      latencies.set(route, latency)
    },
    refused: (code) => void refusals.set(code, (refusals.get(code) ?? 0) + 1),
    families: () => [
      gauge(
        'littoral_isolate_start_time_seconds',
        'When the isolate that answers this began to count; counters of requests are its own',
        [{ value: (startedMs ??= nowMs()) / 1000 }],
      ),
      counter('littoral_http_requests_total', 'Requests answered, by route, method and status', [
        ...requests.values(),
      ]),
      counter(
        'littoral_http_errors_total',
        'Errors answered, by code; `internal` is a fault of this deployment',
        [...refusals].map(([code, value]) => ({ labels: { code }, value })),
      ),
      {
        name: 'littoral_http_request_duration_seconds',
        help: "Time until an answer's headers, by route",
        type: 'histogram',
        samples: [...latencies].flatMap(([route, latency]) => histogram(route, latency)),
      },
    ],
  }
}

function histogram(route: string, { counts, sumSeconds }: Latency): Sample[] {
  let total = 0
  const buckets = [...BUCKETS, Infinity].map((bound, i): Sample => {
    total += counts[i] ?? 0
    const le = bound === Infinity ? '+Inf' : String(bound)
    return { suffix: '_bucket', labels: { route, le }, value: total }
  })
  return [
    ...buckets,
    { suffix: '_sum', labels: { route }, value: sumSeconds },
    { suffix: '_count', labels: { route }, value: total },
  ]
}
