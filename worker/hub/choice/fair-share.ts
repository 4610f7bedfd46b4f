/** Shares of what a hub has little of: a tenant may hold up to three times of what it leaves free, so that there is always some for another. */
import type { TenantId } from '#shared/base/ids.ts'

export interface FairShare {
  /** @returns false when it would be over the tenant's share; nothing is taken then */
  take(tenant: TenantId, amount: number): boolean
  give(tenant: TenantId, amount: number): void
}

/**
 * Alone a tenant has three quarters, of two that want all they can get each has three sevenths. Dynamic thresholds after
 * Choudhury and Hahne, https://doi.org/10.1109/90.664262: the shares follow who is there, with nothing to configure.
 */
const TIMES_FREE = 3

/** @param total of all tenants; what one job takes must be above zero, which bounds the map */
export function createFairShare(total: number): FairShare {
  const held = new Map<TenantId, number>()
  let all = 0
  return {
    take(tenant, amount) {
      const own = (held.get(tenant) ?? 0) + amount
      if (own > TIMES_FREE * (total - all - amount)) return false
      held.set(tenant, own)
      all += amount
      return true
    },
    give(tenant, amount) {
      const left = (held.get(tenant) ?? 0) - amount
      if (left > 0) held.set(tenant, left)
      else held.delete(tenant)
      all -= amount
    },
  }
}
