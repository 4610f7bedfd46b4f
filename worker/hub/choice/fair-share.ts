/** Divides a scarce resource. A tenant may hold three times what it leaves free, so others always get some. */
import type { TenantId } from '#shared/base/ids.ts'

export interface FairShare {
  /** @returns false, and takes nothing, when that would exceed the tenant's share */
  take(tenant: TenantId, amount: number): boolean
  give(tenant: TenantId, amount: number): void
}

/**
 * One tenant alone gets three quarters; two greedy tenants get three sevenths each. These are the dynamic thresholds of
 * Choudhury and Hahne, https://doi.org/10.1109/90.664262. Shares follow the tenants that are present, with nothing to
 * configure.
 */
const TIMES_FREE = 3

/** @param total for all tenants. Each job must take more than zero, which bounds the map. */
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
