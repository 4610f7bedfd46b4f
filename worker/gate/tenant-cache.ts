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

interface Cached {
  readonly snapshot: TenantSnapshot | null
  readonly atMs: number
  isRefreshing: boolean
}

/** From this part of its age on, an entry is loaded anew in the background, so that no request waits for it. */
const REFRESHED_AFTER = 0.75

export function createTenantCache({ maxAgeMs, size, nowMs }: TenantCacheOptions) {
  const entries = new BoundedMap<TenantId, Cached>(size)
  let changes = 0
  const refresh = async (tenant: TenantId, load: () => Promise<TenantSnapshot | null>) => {
    // Its age counts from before the question: a change after that may be missing in the answer.
    const [atMs, before] = [nowMs(), changes]
    const snapshot = await load()
    if (changes === before) entries.set(tenant, { snapshot, atMs, isRefreshing: false })
    return snapshot
  }
  return {
    /**
     * @param load asks the tenant's Durable Object
     * @param later keeps a refresh going that the request does not wait for
     */
    async get(
      tenant: TenantId,
      load: () => Promise<TenantSnapshot | null>,
      later: (work: Promise<unknown>) => void,
    ): Promise<TenantSnapshot | null> {
      const cached = entries.get(tenant)
      const ageMs = cached === undefined ? Infinity : nowMs() - cached.atMs
      if (cached === undefined || ageMs >= maxAgeMs) return refresh(tenant, load)
      if (ageMs >= maxAgeMs * REFRESHED_AFTER && !cached.isRefreshing) {
        cached.isRefreshing = true
        later(refresh(tenant, load).finally(() => void (cached.isRefreshing = false)))
      }
      return cached.snapshot
    },
    /** Call after a change made through this isolate. Answers that are under way may lack it, so none of them is kept. */
    forget(tenant: TenantId): void {
      changes += 1
      entries.delete(tenant)
    },
  }
}
