/** Creates an isolate's state with the real clock and randomness. */
import { randomBytes } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createLog } from '#shared/base/log.ts'
import { createBodyRoom } from '#worker/gate/body-room.ts'
import type { Isolate } from '#worker/gate/context.ts'
import { createKeyUses } from '#worker/gate/key-uses.ts'
import { createTenantCache } from '#worker/gate/tenant-cache.ts'
import { createRequestMetrics } from './metrics/request-metrics.ts'
import { createQuotaLeases } from '#worker/protocols/quota-leases.ts'
import { createRefusalLog } from '#worker/gate/refusal-log.ts'
import { createRateLimit } from '#worker/platform/rate-limit.ts'

export function createIsolate(nowMs: () => number = () => Date.now()): Isolate {
  return {
    nowMs,
    random: randomBytes,
    log: createLog(),
    tenants: createTenantCache({
      maxAgeMs: LIMITS.authCacheMs,
      size: LIMITS.tenantsCached,
      nowMs,
    }),
    admissions: createRateLimit({
      perMinute: LIMITS.admissionsPerMinute,
      keys: LIMITS.rateLimitKeys,
      nowMs,
    }),
    refusals: createRefusalLog({
      nowMs,
      wait: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
    }),
    bodies: createBodyRoom(),
    keyUses: createKeyUses({ size: LIMITS.rateLimitKeys, everyMs: LIMITS.keyUseReportMs, nowMs }),
    metrics: createRequestMetrics(nowMs),
    quotas: createQuotaLeases({ size: LIMITS.tenantsCached, nowMs }),
  }
}
