/** Why settlement does not move: a code that a metric may carry, and words for whoever must mend it. */
import type { FaultCode } from '#shared/api/network.ts'
import { toAppError } from '#shared/base/errors.ts'

export interface Fault {
  readonly code: FaultCode
  readonly detail: string
}

/** The endpoint's errors come as AppError; anything else is a fault of ours, whose words may hold more than anybody should read. */
export function faultOf(error: unknown): Fault {
  const { code, detail } = toAppError(error)
  if (code === 'node_lost' || code === 'node_timeout') return { code: 'chain.unreachable', detail }
  return { code: 'ledger.failed', detail: `The Ledger failed: ${detail} Its log has the cause.` }
}
