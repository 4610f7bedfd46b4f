/** Creates an isolate's state with the real clock and randomness. */
import { randomBytes } from '#shared/base/ids.ts'
import { createLog } from '#shared/base/log.ts'
import { createBodyRoom } from '#worker/gate/body-room.ts'
import type { Isolate } from '#worker/gate/context.ts'
import { createKeyUses } from '#worker/gate/key-uses.ts'
import { createOpenedKeys } from '#worker/gate/opened-keys.ts'
import { createTenantCache } from '#worker/gate/tenant-cache.ts'
import { createRequestMetrics } from './metrics/request-metrics.ts'
import { createQuotaLeases } from '#worker/protocols/quota-leases.ts'
import { createRefusalLog } from '#worker/gate/refusal-log.ts'
import { createRateLimit } from '#worker/platform/rate-limit.ts'
import { AUTH_CACHE_MS, KEY_USE_REPORT_MS } from '#worker/protocols/tenant.ts'

const TENANTS_CACHED = 1_000
const KEYS_OPENED = 1_000
const RATE_LIMIT_KEYS = 10_000
/** Admissions for one network address block. */
export const ADMISSIONS_PER_MINUTE = 30

export function createIsolate(nowMs: () => number = () => Date.now()): Isolate {
  return {
    nowMs,
    random: randomBytes,
    log: createLog(),
    tenants: createTenantCache({ maxAgeMs: AUTH_CACHE_MS, size: TENANTS_CACHED, nowMs }),
    openedKeys: createOpenedKeys({ maxAgeMs: AUTH_CACHE_MS, size: KEYS_OPENED, nowMs }),
    admissions: createRateLimit({ perMinute: ADMISSIONS_PER_MINUTE, keys: RATE_LIMIT_KEYS, nowMs }),
    refusals: createRefusalLog({
      nowMs,
      wait: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
    }),
    bodies: createBodyRoom(),
    keyUses: createKeyUses({ size: RATE_LIMIT_KEYS, everyMs: KEY_USE_REPORT_MS, nowMs }),
    metrics: createRequestMetrics(nowMs),
    quotas: createQuotaLeases({ size: TENANTS_CACHED, nowMs }),
  }
}
