/** Whose doing it was that a job was not done. */
import type { AppError, ErrorCode } from '#shared/base/errors.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'

/** A job that was not done. */
export interface JobFailure {
  /** `customer`: what was asked for cannot be done, or is no longer wanted. `node`: this device could not do it. */
  readonly whose: 'customer' | 'node'
  readonly code: ErrorCode
  readonly detail: string
}

/** What says something of the job, and nothing of the device that had it. */
const CUSTOMERS_CODES: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'too_large',
  'forbidden',
  'cancelled',
  'model_not_found',
  'residency_unsatisfiable',
  'residency_ingress_denied',
])

export function failureOf({ code, detail, meta }: AppError): JobFailure {
  // More than this device grants one kernel: nothing is wrong with it.
  const isCustomers = CUSTOMERS_CODES.has(code) || meta.rule === BUDGET_RULE
  return { whose: isCustomers ? 'customer' : 'node', code, detail }
}
