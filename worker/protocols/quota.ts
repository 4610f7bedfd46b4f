/** A tenant's quota, and the leases that Worker isolates take from it. */
import { z } from 'zod'
import type { QuotaReply } from '#shared/api/keys.ts'

/** Default quota, when the operator has set none. */
const QUOTA_REQUESTS_PER_MINUTE = 600_000

const RequestsPerMinute = z.int().min(1).max(100_000_000)
/** The most that the tenant's jobs may cost in one day (UTC). */
const SpendMicroUsdPerDay = z.int().min(0)

export const Quota = z.strictObject({
  requestsPerMinute: RequestsPerMinute.default(QUOTA_REQUESTS_PER_MINUTE),
  /** Null: no cap. */
  spendMicroUsdPerDay: SpendMicroUsdPerDay.nullable().default(null),
})
export type Quota = z.infer<typeof Quota>

/** The operator's change. Omitted members stay unchanged; only `none` removes a cap. */
export const QuotaChange = z.strictObject({
  requestsPerMinute: RequestsPerMinute.exactOptional(),
  spendMicroUsdPerDay: z.union([SpendMicroUsdPerDay, z.literal('none')]).exactOptional(),
})
export type QuotaChange = z.infer<typeof QuotaChange>

/** Requests that one isolate may admit until the window ends. */
export interface QuotaLease {
  readonly quota: Quota
  readonly windowEndsAtMs: number
  readonly granted: number
  /** Requests that the whole tenant has left after this lease. */
  readonly remaining: number
}

/** Money that one isolate may spend until the day ends. */
export interface SpendLease {
  readonly dayEndsAtMs: number
  /** 0 when less is left than the caller asked for. */
  readonly grantedMicroUsd: number
  readonly capMicroUsd: number | null
}

/** The quota, and how much of it is used. */
export type QuotaState = Omit<QuotaReply, 'tenant'>

export interface TenantQuota {
  leaseRequests(): QuotaLease
  /** Grants at least this much, or nothing. */
  leaseSpend(wantedMicroUsd: number): SpendLease
  /** @throws {AppError} not_found */
  state(): QuotaState
  /** @throws {AppError} not_found */
  set(change: QuotaChange): QuotaState
}
