/** Explains why the last job failed, and whether this device or the customer caused it. */
import type { NodeView } from '../node/protocol.ts'

type JobFailure = NonNullable<NodeView['lastFailure']>

/** Causes on the customer's side; the texts never include the job's contents. */
const CUSTOMERS: Readonly<Record<string, string>> = {
  cancelled: 'the customer cancelled it',
  too_large: 'it exceeded the limits of one job',
  invalid_request: 'it was not valid',
  // A kernel that exceeds its budget here.
  no_capacity: 'it needed more than this device allows one kernel',
}

export function describeFailure({ whose, code, detail }: JobFailure): string {
  if (whose === 'node') return `The last job failed on this device: ${detail}`
  const why = CUSTOMERS[code] ?? 'it is not allowed to run here'
  return `The last job ended without an answer: ${why}. Nothing is wrong with this device.`
}
