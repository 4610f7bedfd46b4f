/** What Worker and Tenant say to each other about an Idempotency-Key. The tenant sees digests and sealed bytes only. */
import type { Bytes32, JobId } from '#shared/base/ids.ts'

/** A key and the request that it came with, both as digests. */
export interface IdempotentRequest {
  readonly key: Bytes32
  /** Digest over method, path, policy headers and body: the same key with another one is a mistake. */
  readonly fingerprint: Bytes32
}

/** The job that a key's request is, however often it is sent: what dies with an answer must not make a second one. */
export interface OnceJob {
  readonly jobId: JobId
  /** Attempts before it belong to earlier sendings. */
  readonly firstAttempt: number
}

/** The right to run a key's request; one holder at a time. */
export interface IdempotencyHold extends IdempotentRequest {
  readonly token: Bytes32
}

/** An answer as it is kept. */
export interface KeptAnswer {
  readonly status: number
  /** Sealed, too, under one name. */
  readonly headers: Readonly<Record<string, string>>
  /** Sealed with a key that only the request itself gives; null when it was too large to be kept. */
  readonly body: Uint8Array<ArrayBuffer> | null
}

export type IdempotencyVerdict =
  | { readonly kind: 'run'; readonly token: Bytes32; readonly once: OnceJob }
  | { readonly kind: 'replay'; readonly answer: KeptAnswer }
  /** The key belongs to another request. */
  | { readonly kind: 'reused' }
  /** The first request is still running, for longer than a caller should wait. */
  | { readonly kind: 'busy' }
  /** The tenant has as many keys, or callers that wait, as it may. */
  | { readonly kind: 'full'; readonly retryAfterMs: number }
