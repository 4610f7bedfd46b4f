/** What a tenant may use, and how Worker isolates take their parts of it. */
import { z } from 'zod'
import type { QuotaReply } from '#shared/api/keys.ts'
import { LIMITS } from '#shared/base/limits.ts'

const RequestsPerMinute = z.int().min(1).max(100_000_000)
/** Most that the tenant's jobs may cost in one day (UTC). */
const SpendMicroUsdPerDay = z.int().min(0)

/** As it is kept. */
export const Quota = z.strictObject({
  requestsPerMinute: RequestsPerMinute.default(LIMITS.quotaRequestsPerMinute),
  /** Null is no cap. */
  spendMicroUsdPerDay: SpendMicroUsdPerDay.nullable().default(null),
})
export type Quota = z.infer<typeof Quota>

/** As the operator changes it. What is left out, or null, stays as it is; only the word takes a cap away. */
export const QuotaChange = z.strictObject({
  requestsPerMinute: RequestsPerMinute.exactOptional(),
  spendMicroUsdPerDay: z.union([SpendMicroUsdPerDay, z.literal('none')]).exactOptional(),
})
export type QuotaChange = z.infer<typeof QuotaChange>

/** A part of the tenant's quota that one isolate may use until the window ends. */
export interface QuotaLease {
  readonly quota: Quota
  readonly windowEndsAtMs: number
  readonly granted: number
  /** Of the whole tenant, after this lease. */
  readonly remaining: number
}

/** A part of the day's money. */
export interface SpendLease {
  readonly dayEndsAtMs: number
  /** 0 when less is left than was asked for. */
  readonly grantedMicroUsd: number
  readonly capMicroUsd: number | null
}

/** The quota, and how much of it is used. */
export type QuotaState = Omit<QuotaReply, 'tenant'>
