/** Why settlement is stuck: a code for metrics, and a text for the operator. */
import type { FaultCode } from '#shared/api/network.ts'
import { toAppError } from '#shared/base/errors.ts'

export interface Fault {
  readonly code: FaultCode
  readonly detail: string
}

/** Errors of the endpoint are AppErrors. Anything else is a bug, and its text may contain secrets. */
export function faultOf(error: unknown): Fault {
  const { code, detail } = toAppError(error)
  if (code === 'node_lost' || code === 'node_timeout') return { code: 'chain.unreachable', detail }
  return { code: 'ledger.failed', detail: `The Ledger failed: ${detail} Its log has the cause.` }
}
