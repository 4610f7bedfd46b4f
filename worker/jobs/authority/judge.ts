/** What becomes of an item whose dispatch failed, and how many may be on their way: pure rules, no clock of their own. */
import { ERRORS, type AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

export type Verdict =
  /** The network lacks a place for any item just now: the whole batch pauses, and nothing is counted against the item. */
  | { readonly kind: 'pause'; readonly delayMs: number }
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fail' }

export interface FailureFacts {
  /** Failures of this item, this one included. */
  readonly failures: number
  /** Pauses in a row, without an answer in between. */
  readonly pauses: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** A node that is missing may come; a hub where records may be kept will not. */
const PAUSING: readonly string[] = ['no_capacity', 'rate_limited', 'residency_unsatisfiable']

export function judgeFailure(error: AppError, facts: FailureFacts): Verdict {
  const isPlace = error.meta.rule === 'storage.jurisdiction'
  if (PAUSING.includes(error.code) && !isPlace) {
    return { kind: 'pause', delayMs: backOffMs(facts.pauses + 1, facts.random) }
  }
  // The batch itself cancels nothing that it then asks about: this came from a hub that went away.
  const mayRetry = ERRORS[error.code].retryable || error.code === 'cancelled'
  if (!mayRetry || facts.failures >= LIMITS.jobsItemAttempts) return { kind: 'fail' }
  return { kind: 'retry', delayMs: backOffMs(facts.failures, facts.random) }
}

/** Doubles each time up to its bound; between half of that and all of it, so that items do not come back together. */
export function backOffMs(
  attempt: number,
  random: () => number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number } = {
    minMs: LIMITS.jobsRetryMinMs,
    maxMs: LIMITS.jobsRetryMaxMs,
  },
): number {
  const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(fullMs * (0.5 + random() / 2))
}

/** An item that took this long has mostly waited for a place on a node. */
const SLOW_MS = 20_000
const FAST_MS = 5_000
const FIRST_WINDOW = 8

/** How many items are on their way at once: it grows while answers are quick and shrinks when they wait or are lost. */
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
