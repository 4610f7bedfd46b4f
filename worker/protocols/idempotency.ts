/** Messages between Worker and Tenant about an Idempotency-Key. The tenant sees only digests and sealed bytes. */
import type { Bytes32, JobId } from '#shared/base/ids.ts'
import { DISPATCH_ATTEMPTS, REQUEST_TIMEOUT_MS } from './hub.ts'
import { invariant } from '#shared/base/errors.ts'

export const IDEMPOTENCY_KEPT_MS = 86_400_000
/** Time that a request waits for the first one with its key. */
export const IDEMPOTENCY_WAIT_MS = 60_000
invariant(IDEMPOTENCY_WAIT_MS <= REQUEST_TIMEOUT_MS, 'A request does not wait past its deadline.')

/** Digests of a key and of the request that it came with. */
export interface IdempotentRequest {
  readonly key: Bytes32
  /** Digest over method, path, policy headers and body. A key with two fingerprints is the caller's mistake. */
  readonly fingerprint: Bytes32
}

/** The job of a key's request. It stays the same however often the request is sent, so that a lost answer makes no second job. */
export interface OnceJob {
  readonly jobId: JobId
  /** Lower attempts belong to earlier sendings. */
  readonly firstAttempt: number
}

/** @param sends how often the job has been sent, this time included; each may take DISPATCH_ATTEMPTS attempts */
export function onceJob(jobId: JobId, sends: number): OnceJob {
  return { jobId, firstAttempt: 1 + (sends - 1) * DISPATCH_ATTEMPTS }
}

/** The right to run a key's request; one holder at a time. */
export interface IdempotencyHold extends IdempotentRequest {
  readonly token: Bytes32
}

export interface KeptAnswer {
  readonly status: number
  /** Sealed too, under one name. */
  readonly headers: Readonly<Record<string, string>>
  /** Sealed with a key that only the request itself yields; null when it was too large to keep. */
  readonly body: Uint8Array<ArrayBuffer> | null
}

export type IdempotencyVerdict =
  | { readonly kind: 'run'; readonly token: Bytes32; readonly once: OnceJob }
  | { readonly kind: 'replay'; readonly answer: KeptAnswer }
  /** The key belongs to another request. */
  | { readonly kind: 'reused' }
  /** The first request still runs, longer than a caller should wait. */
  | { readonly kind: 'busy' }
  /** The tenant has as many keys or waiting callers as it may. */
  | { readonly kind: 'full'; readonly retryAfterMs: number }

export interface TenantIdempotency {
  /** Resolves within IDEMPOTENCY_WAIT_MS, when this caller may run the request or has its answer. */
  begin(request: IdempotentRequest): Promise<IdempotencyVerdict>
  /** Keeps the answer; false when somebody else has taken the key meanwhile. */
  complete(hold: IdempotencyHold, answer: KeptAnswer): boolean
  /**
   * Gives the key back without an answer: anybody may run its request, or another one.
   * @param isBegun whether a node may have had the job: the same request is then the same job again
   */
  release(hold: IdempotencyHold, isBegun: boolean): void
}
