/** The two members with which every body names a policy and narrows it. */
import { z } from 'zod'
import { PolicyId, RegionList } from '#shared/law/policy.ts'
import { parseBody } from './faults.ts'

export const ResidencyFields = {
  /** A published policy of the tenant; same as the header `x-littoral-policy`. */
  policy: PolicyId.optional(),
  /** Narrows the policy's compute set for this request; it can never widen it. */
  residency: z.strictObject({ allow: RegionList }).optional(),
}

export interface ResidencyChoice {
  readonly policy?: string | undefined
  readonly residency?: { readonly allow: readonly string[] } | undefined
}

const ResidencyOnly = z.object(ResidencyFields)

/**
 * Reads the same choice from a URL, for WebSockets opened by browsers:
 * `?policy=alps&residency=CH,AT`.
 * @throws {AppError} invalid_request
 */
export function readResidencyQuery(query: Readonly<Record<string, string>>): ResidencyChoice {
  const { policy, residency } = query
  return parseBody(ResidencyOnly, {
    ...(policy === undefined ? {} : { policy }),
    ...(residency === undefined ? {} : { residency: { allow: residency.split(',') } }),
  })
}
