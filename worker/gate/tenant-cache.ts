/** Caches tenants' snapshots in one isolate; changes elsewhere are seen within AUTH_CACHE_MS. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { TenantSnapshot } from '#worker/protocols/tenant.ts'

export interface TenantCache {
  /** @param load asks the tenant's Durable Object on a cache miss */
  get(tenant: TenantId, load: () => Promise<TenantSnapshot | null>): Promise<TenantSnapshot | null>
  /** Call after a change made through this isolate. */
  forget(tenant: TenantId): void
}

export interface TenantCacheOptions {
  readonly maxAgeMs: number
  /** Tenants cached; when full the oldest is evicted. */
  readonly size: number
  readonly nowMs: () => number
}

export function createTenantCache(options: TenantCacheOptions): TenantCache {
  const entries = new BoundedMap<TenantId, { snapshot: TenantSnapshot | null; atMs: number }>(
    options.size,
  )
  return {
    async get(tenant, load) {
      const cached = entries.get(tenant)
      if (cached !== undefined && options.nowMs() - cached.atMs < options.maxAgeMs) {
        return cached.snapshot
      }
      const atMs = options.nowMs()
      const snapshot = await load()
      entries.set(tenant, { snapshot, atMs })
      return snapshot
    },
    forget(tenant) {
      entries.delete(tenant)
    },
  }
}
