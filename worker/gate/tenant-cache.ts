/** Caches tenants' snapshots in one isolate; changes elsewhere are seen within AUTH_CACHE_MS. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { TenantSnapshot } from '#worker/protocols/tenant.ts'

interface TenantCacheOptions {
  readonly maxAgeMs: number
  /** Tenants cached; when full the oldest is evicted. */
  readonly size: number
  readonly nowMs: () => number
}

export type TenantCache = ReturnType<typeof createTenantCache>

export function createTenantCache(options: TenantCacheOptions) {
  const entries = new BoundedMap<TenantId, { snapshot: TenantSnapshot | null; atMs: number }>(
    options.size,
  )
  return {
    /** @param load asks the tenant's Durable Object on a cache miss */
    async get(tenant: TenantId, load: () => Promise<TenantSnapshot | null>) {
      const cached = entries.get(tenant)
      if (cached !== undefined && options.nowMs() - cached.atMs < options.maxAgeMs) {
        return cached.snapshot
      }
      const atMs = options.nowMs()
      const snapshot = await load()
      entries.set(tenant, { snapshot, atMs })
      return snapshot
    },
    /** Call after a change made through this isolate. */
    forget: (tenant: TenantId): void => void entries.delete(tenant),
  }
}
