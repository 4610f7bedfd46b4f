/** The dependencies of a batch's core. */
import type { RandomBytes } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import type { TenantWord } from '#worker/jobs/authority/judge-authority.ts'
import type { BatchSpec } from '#worker/protocols/batch.ts'
import type { Dispatch } from '#worker/jobs/run/runner.ts'
import type { SendRequest } from '#worker/jobs/delivery/webhook.ts'

export interface BatchDeps {
  readonly storage: DurableStorage
  readonly dispatch: Dispatch
  /** The tenant's present keys and policies; null when the tenant does not exist. */
  readonly authority: (spec: BatchSpec) => Promise<TenantWord | null>
  /** Resolves after this time, or when the signal aborts. */
  readonly pause: (delayMs: number, signal: AbortSignal) => Promise<void>
  readonly send: SendRequest
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  /** Asks for a call of `drive` at that time; null: never again. */
  readonly wake: (atMs: number | null) => void
  /** Tells the tenant what an ended batch keeps. Repeated until it succeeds. */
  readonly resize: (spec: BatchSpec, sizeBytes: number) => Promise<void>
  /** Removes the batch from the tenant's list before it is erased. Repeated until it succeeds. */
  readonly forget: (spec: BatchSpec) => Promise<void>
}
