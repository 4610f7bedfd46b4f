/**
 * Applies a tenant's quota, and sets the RateLimit headers
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
 */
import { toAppError } from '#shared/base/errors.ts'
import type { MicroUsd } from '#shared/receipt/money.ts'
import { callerOf, ownTenant, type AppContext } from './context.ts'
import type { QuotaStanding } from '#worker/protocols/quota-leases.ts'
import { keepAlive } from './keep-alive.ts'

/** The policy's name in both headers. */
const POLICY = '"requests"'
const WINDOW_SECONDS = 60

/** Counts the request, and refuses it when the quota is used up. */
export async function takeQuota(c: AppContext): Promise<void> {
  const lease = () => ownTenant(c).quota.leaseRequests()
  try {
    const { quotas } = c.get('isolate')
    const standing = await quotas.take(callerOf(c).tenant, lease, (work) => keepAlive(c, work))
    setStanding(c, standing)
  } catch (error) {
    const { standing } = toAppError(error).meta as { standing?: QuotaStanding }
    if (standing !== undefined) setStanding(c, standing)
    throw error
  }
}

/** Money reserved for one job. The unspent part is given back, and all of it on failure. */
export interface SpendReserve {
  settleWith<T>(job: Promise<T>, costOf: (result: T) => MicroUsd): Promise<T>
  /** Gives the money back when a part that costs nothing yet fails. */
  orNothing<T>(part: Promise<T>): Promise<T>
}

/**
 * Reserves the most that something may cost, where the tenant has a spending cap.
 * @returns a function to be called once with the actual cost
 * @throws {AppError} payment_required
 */
export function reserveSpend(
  c: AppContext,
  microUsd: number,
): Promise<(spentMicroUsd: number) => void> {
  return c
    .get('isolate')
    .quotas.reserve(callerOf(c).tenant, microUsd, (wanted) => ownTenant(c).quota.leaseSpend(wanted))
}

/** Reserves money for one job. @throws {AppError} payment_required */
export async function reserveForJob(c: AppContext, microUsd: number): Promise<SpendReserve> {
  const settle = await reserveSpend(c, microUsd)
  const orNothing = async <T>(part: Promise<T>): Promise<T> => {
    try {
      return await part
    } catch (error) {
      settle(0)
      throw error
    }
  }
  return {
    orNothing,
    async settleWith(job, costOf) {
      const result = await orNothing(job)
      settle(Number(costOf(result)))
      return result
    },
  }
}

function setStanding(c: AppContext, { limit, remaining, resetSeconds }: QuotaStanding): void {
  const answerHeaders = c.get('answerHeaders')
  answerHeaders.set('ratelimit-policy', `${POLICY};q=${limit};w=${WINDOW_SECONDS}`)
  answerHeaders.set('ratelimit', `${POLICY};r=${remaining};t=${resetSeconds}`)
}
