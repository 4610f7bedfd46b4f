/** A job that was not done, in words that say whose doing that was. */
import type { NodeView } from '../node/protocol.ts'

type JobFailure = NonNullable<NodeView['lastFailure']>

/** What customers ask for and cannot have; never with what was in the job. */
const CUSTOMERS: Readonly<Record<string, string>> = {
  cancelled: 'the customer no longer wanted it',
  too_large: 'it asked for more than one job may take',
  invalid_request: 'it was not valid',
  // Of a kernel that is over its budget here.
  no_capacity: 'it asked for more than this device gives one kernel',
}

export function describeFailure({ whose, code, detail }: JobFailure): string {
  if (whose === 'node') return `This device could not do its last job: ${detail}`
  const why = CUSTOMERS[code] ?? 'it may not run here'
  return `The last job ended without an answer: ${why}. Nothing is wrong with this device.`
}
