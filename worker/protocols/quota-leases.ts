/** The quota leases that one isolate holds. They are counted down here, so that most requests need no call to the tenant. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { QuotaLease, SpendLease } from './quota.ts'

/** The values of the RateLimit headers. */
export interface QuotaStanding {
  readonly limit: number
  /** Requests that the whole tenant has left, as far as this isolate knows. */
  readonly remaining: number
  readonly resetSeconds: number
}

interface RequestPot {
  readonly limit: number
  readonly isSpendCapped: boolean
  readonly windowEndsAtMs: number
  left: number
  remaining: number
  /** When less than this is left, the next lease is fetched in advance. */
  refillBelow: number
  isRefilling: boolean
}

interface SpendPot {
  readonly dayEndsAtMs: number
  leftMicroUsd: number
}

export interface QuotaLeasesOptions {
  /** Most tenants remembered. When full, the oldest is forgotten and its lease is lost until the window ends. */
  readonly size: number
  readonly nowMs: () => number
}

export type QuotaLeases = ReturnType<typeof createQuotaLeases>

export function createQuotaLeases({ size, nowMs }: QuotaLeasesOptions) {
  const requests = new BoundedMap<TenantId, RequestPot>(size)
  const spends = new BoundedMap<TenantId, SpendPot>(size)
  const requestPot = (tenant: TenantId) => {
    const pot = requests.get(tenant)
    return pot !== undefined && nowMs() < pot.windowEndsAtMs ? pot : undefined
  }
  const spendPot = (tenant: TenantId) => {
    const pot = spends.get(tenant)
    return pot !== undefined && nowMs() < pot.dayEndsAtMs ? pot : undefined
  }
  return {
    /** Counts one request. @throws {AppError} rate_limited with the standing in its meta */
    async take(
      tenant: TenantId,
      lease: () => Promise<QuotaLease>,
      later: (work: Promise<void>) => void,
    ): Promise<QuotaStanding> {
      let pot = requestPot(tenant)
      if (pot === undefined || (pot.left < 1 && pot.remaining > 0)) {
        pot = addRequests(requests, tenant, await lease())
      }
      const standing = (held: number) => standingOf(pot, held, nowMs())
      if (pot.left < 1) throw limited(standing(0))
      pot.left -= 1
      if (pot.left < pot.refillBelow && pot.remaining > 0 && !pot.isRefilling) {
        pot.isRefilling = true
        later(lease().then((more) => void addRequests(requests, tenant, more)))
      }
      return standing(pot.left)
    },

    /** Reserves money. @returns a function that gives back what was not spent. @throws {AppError} payment_required */
    async reserve(
      tenant: TenantId,
      microUsd: number,
      lease: (wantedMicroUsd: number) => Promise<SpendLease>,
    ): Promise<(spentMicroUsd: number) => void> {
      // Read even if the minute of the lease has ended: a cap does not end with it.
      if (requests.get(tenant)?.isSpendCapped === false) return () => {}
      if ((spendPot(tenant)?.leftMicroUsd ?? 0) < microUsd) {
        const more = await lease(microUsd)
        if (more.capMicroUsd === null) return () => {}
        addSpend(spends, tenant, more)
      }
      const pot = spendPot(tenant)
      if (pot === undefined || pot.leftMicroUsd < microUsd) throw capped(microUsd)
      pot.leftMicroUsd -= microUsd
      return (spentMicroUsd) => {
        pot.leftMicroUsd += Math.max(0, microUsd - spentMicroUsd)
      }
    },
  }
}

/** Another request may have fetched a lease at the same time: leases of one window add up. */
function addRequests(
  pots: Map<TenantId, RequestPot>,
  tenant: TenantId,
  { quota, windowEndsAtMs, granted, remaining }: QuotaLease,
): RequestPot {
  const old = pots.get(tenant)
  const isSame = old?.windowEndsAtMs === windowEndsAtMs
  const pot = {
    limit: quota.requestsPerMinute,
    isSpendCapped: quota.spendMicroUsdPerDay !== null,
    windowEndsAtMs,
    left: granted + (isSame ? old.left : 0),
    remaining: isSame ? Math.min(old.remaining, remaining) : remaining,
    refillBelow: Math.floor(granted / 4),
    isRefilling: false,
  }
  pots.set(tenant, pot)
  return pot
}

function addSpend(pots: Map<TenantId, SpendPot>, tenant: TenantId, more: SpendLease): void {
  const old = pots.get(tenant)
  if (old?.dayEndsAtMs === more.dayEndsAtMs) old.leftMicroUsd += more.grantedMicroUsd
  else pots.set(tenant, { dayEndsAtMs: more.dayEndsAtMs, leftMicroUsd: more.grantedMicroUsd })
}

function standingOf(pot: RequestPot, held: number, nowMs: number): QuotaStanding {
  return {
    limit: pot.limit,
    remaining: held + pot.remaining,
    resetSeconds: Math.max(1, Math.ceil((pot.windowEndsAtMs - nowMs) / 1000)),
  }
}

function limited(standing: QuotaStanding): AppError {
  return new AppError(
    'rate_limited',
    `This tenant may send ${standing.limit} requests a minute; the next minute begins in ${standing.resetSeconds} s.`,
    { meta: { retryAfterSeconds: standing.resetSeconds, standing } },
  )
}

function capped(microUsd: number): AppError {
  return new AppError(
    'payment_required',
    `This job may cost ${microUsd} micro-dollars, more than is left of the tenant's spending cap for today (UTC).`,
  )
}
