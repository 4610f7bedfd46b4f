/** Why settlement is stuck: a code for metrics, and a text for the operator. */
import { toAppError } from '#shared/base/errors.ts'

export const FAULT_CODES = [
  /** The endpoint does not answer. */
  'chain.unreachable',
  /** The endpoint serves another chain. */
  'chain.other',
  'contract.missing',
  /** The contract does not take batches of this poster. */
  'poster.unknown',
  /** The poster cannot pay for a transaction. */
  'poster.broke',
  /** The contract would revert, so the batch is not sent. */
  'batch.refused',
  'batch.reverted',
  /** The endpoint does not take the transaction. */
  'batch.unsent',
  'batch.unmined',
  /** The kept batches belong to another chain, contract or ledger. */
  'ledger.foreign',
  'ledger.failed',
] as const
export type FaultCode = (typeof FAULT_CODES)[number]

export interface Fault {
  readonly code: FaultCode
  readonly detail: string
}

/** Errors of the endpoint are AppErrors. Anything else is a bug, and its text may hold what nobody should read. */
export function faultOf(error: unknown): Fault {
  const { code, detail } = toAppError(error)
  if (code === 'node_lost' || code === 'node_timeout') return { code: 'chain.unreachable', detail }
  return { code: 'ledger.failed', detail: `The Ledger failed: ${detail} Its log has the cause.` }
}
