/** Decides whether a failed job is the customer's fault or the node's. */
import type { AppError, ErrorCode } from '#shared/base/errors.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'

export interface JobFailure {
  /** `customer`: the request is at fault, or no longer wanted. `node`: this device could not do it. */
  readonly whose: 'customer' | 'node'
  readonly code: ErrorCode
  readonly detail: string
}

/** Errors that say something about the job and nothing about the device. */
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
  // The kernel needs more than this device grants one kernel; the device is fine.
  const isCustomers = CUSTOMERS_CODES.has(code) || meta.rule === BUDGET_RULE
  return { whose: isCustomers ? 'customer' : 'node', code, detail }
}
