/** Why settlement does not move: a code that a metric may carry, and words for whoever must mend it. */
import { toAppError } from '#shared/base/errors.ts'

export const FAULT_CODES = [
  /** The endpoint does not answer. */
  'chain.unreachable',
  /** The endpoint is of another chain. */
  'chain.other',
  'contract.missing',
  /** The contract does not take batches of this poster. */
  'poster.unknown',
  /** It cannot pay for a transaction. */
  'poster.broke',
  /** The contract would revert, so the batch is not sent. */
  'batch.refused',
  'batch.reverted',
  /** The endpoint does not take the transaction. */
  'batch.unsent',
  'batch.unmined',
  /** What is kept here belongs to another chain, contract or ledger. */
  'ledger.foreign',
  'ledger.failed',
] as const
export type FaultCode = (typeof FAULT_CODES)[number]

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
