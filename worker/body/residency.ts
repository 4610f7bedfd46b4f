/** How a request names a policy and narrows where it is computed: the same two fields in every body. */
import { z } from 'zod'
import { PolicyId, RegionList } from '#shared/law/policy.ts'
import { parseBody } from './faults.ts'

/** Members that every request body may carry beside its own. */
export const ResidencyFields = {
  /** A published policy of the tenant; the header `x-littoral-policy` says the same. */
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
 * The same choice in a URL, for a WebSocket that a browser opens: `?policy=alps&residency=CH,AT`.
 * @throws {AppError} invalid_request
 */
export function readResidencyQuery(query: Readonly<Record<string, string>>): ResidencyChoice {
  const { policy, residency } = query
  return parseBody(ResidencyOnly, {
    ...(policy === undefined ? {} : { policy }),
    ...(residency === undefined ? {} : { residency: { allow: residency.split(',') } }),
  })
}
