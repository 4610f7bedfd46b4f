/** The deadlines of a request: the caller's own, in `x-littoral-deadline-ms`, and what the Worker itself waits for. */
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

/** The deadlines of one request, which follow one another, over one timer of the runtime. */
export interface RequestTimer {
  /** Calls `onDue` once after `delayMs`, unless stopped before. It replaces the deadline before it. @returns stops it */
  start(delayMs: number, onDue: () => void): () => void
  /** Forgets the timer of the runtime: the request is over. */
  end(): void
}

export function createRequestTimer(): RequestTimer {
  let timer: ReturnType<typeof setTimeout> | undefined
  /** When the timer fires. It may be earlier than what is due: it is then set again. */
  let armedMs = Infinity
  let due: { readonly atMs: number; readonly call: () => void } | undefined

  const arm = (atMs: number) => {
    if (timer !== undefined) clearTimeout(timer)
    armedMs = atMs
    timer = setTimeout(look, Math.max(0, Math.ceil(atMs - performance.now())))
  }
  const look = () => {
    armedMs = Infinity
    const next = due
    if (next === undefined) return
    if (next.atMs > performance.now()) {
      arm(next.atMs)
      return
    }
    due = undefined
    next.call()
  }
  return {
    start(delayMs, call) {
      const own = { atMs: performance.now() + delayMs, call }
      due = own
      if (own.atMs < armedMs) arm(own.atMs)
      return () => {
        if (due === own) due = undefined
      }
    },
    end() {
      due = undefined
      if (timer !== undefined) clearTimeout(timer)
      timer = undefined
      armedMs = Infinity
    },
  }
}
