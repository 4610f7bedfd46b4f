/** The caller's own deadline, in `x-littoral-deadline-ms`. */
import { invalidAt } from '#worker/body/faults.ts'
import { REQUEST_TIMEOUT_MS } from '#worker/protocols/hub.ts'

export const DEADLINE_HEADER = 'x-littoral-deadline-ms'

/** The time that the caller waits, from the request's arrival. Undefined when absent. @throws {AppError} invalid_request unless it is whole milliseconds within bounds */
export function parseDeadline(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const deadlineMs = /^[1-9][0-9]{0,8}$/.test(header) ? Number(header) : Infinity
  if (deadlineMs <= REQUEST_TIMEOUT_MS) return deadlineMs
  throw invalidAt(
    '/headers/x-littoral-deadline-ms',
    `is "${header.slice(0, 20)}", must be whole milliseconds from 1 to ${REQUEST_TIMEOUT_MS}`,
  )
}
