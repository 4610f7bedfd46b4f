/** What a batch is given from outside. */
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
  /** What the batch's tenant says now of keys and policies; null when there is no such tenant. */
  readonly authority: (spec: BatchSpec) => Promise<TenantWord | null>
  /** Resolves after the time or when the signal aborts. */
  readonly pause: (delayMs: number, signal: AbortSignal) => Promise<void>
  readonly send: SendRequest
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  /** Asks to be called back at `drive`, then; null: never again. */
  readonly wake: (atMs: number | null) => void
  /** Tells its tenant what an ended batch keeps; again until it succeeds. */
  readonly resize: (spec: BatchSpec, sizeBytes: number) => Promise<void>
  /** Takes the batch off its tenant's list; called before it is erased, again until it succeeds. */
  readonly forget: (spec: BatchSpec) => Promise<void>
}
