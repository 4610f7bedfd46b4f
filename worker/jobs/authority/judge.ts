/** Rules for an item whose dispatch failed, and for the number of items under way. Pure. */
import { ERRORS, type AppError, invariant } from '#shared/base/errors.ts'
import { JOBS_DEADLINE_MS } from '#worker/protocols/batch.ts'

/** Attempts of one item. */
export const JOBS_ITEM_ATTEMPTS = 6
export const JOBS_RETRY_MIN_MS = 250
export const JOBS_RETRY_MAX_MS = 15_000
invariant(
  JOBS_RETRY_MIN_MS < JOBS_RETRY_MAX_MS &&
    JOBS_ITEM_ATTEMPTS * JOBS_RETRY_MAX_MS < JOBS_DEADLINE_MS,
  'All retries fit the deadline.',
)

export type Verdict =
  /** The network has no slot for any item at present: the whole batch pauses, and the item is not charged with a failure. */
  | { readonly kind: 'pause'; readonly delayMs: number }
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fail' }

export interface FailureFacts {
  /** Failures of this item, including this one. */
  readonly failures: number
  /** Pauses since the last answer. */
  readonly pauses: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** These may pass when a node joins. A missing hub that may keep the records does not appear. */
const PAUSING: readonly string[] = ['no_capacity', 'rate_limited', 'residency_unsatisfiable']

export function judgeFailure(error: AppError, facts: FailureFacts): Verdict {
  const isPlace = error.meta.rule === 'storage.jurisdiction'
  if (PAUSING.includes(error.code) && !isPlace) {
    return { kind: 'pause', delayMs: backOffMs(facts.pauses + 1, facts.random) }
  }
  // The batch's own cancellations do not come here: this one is from a hub that restarted.
  const mayRetry = ERRORS[error.code].retryable || error.code === 'cancelled'
  if (!mayRetry || facts.failures >= JOBS_ITEM_ATTEMPTS) return { kind: 'fail' }
  return { kind: 'retry', delayMs: backOffMs(facts.failures, facts.random) }
}

/** Doubles each time up to its bound. The jitter of up to one half keeps items from returning together. */
export function backOffMs(
  attempt: number,
  random: () => number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number } = {
    minMs: JOBS_RETRY_MIN_MS,
    maxMs: JOBS_RETRY_MAX_MS,
  },
): number {
  const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(fullMs * (0.5 + random() / 2))
}

/** An item that took this long mostly waited for a slot. */
const SLOW_MS = 20_000
const FAST_MS = 5_000
const FIRST_WINDOW = 8

/** The number of items under way at once. It grows with quick answers and shrinks with slow or lost ones. */
export function createWindow(most: number) {
  let size = Math.min(most, FIRST_WINDOW)
  return {
    size: () => Math.floor(size),
    answered(tookMs: number): void {
      if (tookMs < FAST_MS) size = Math.min(most, size + 1)
      else if (tookMs > SLOW_MS) size = Math.max(1, size - 1)
    },
    failed(): void {
      size = Math.max(1, size / 2)
    },
  }
}
export type Window = ReturnType<typeof createWindow>
