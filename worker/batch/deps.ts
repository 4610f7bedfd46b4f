/** What a batch is given from outside. */
import type { RandomBytes } from '#shared/ids.ts'
import type { Log } from '#shared/log.ts'
import type { DurableStorage } from '../storage.ts'
import type { BatchSpec } from './protocol.ts'
import type { Dispatch } from './runner.ts'
import type { SendRequest } from './webhook.ts'

export interface BatchDeps {
  readonly storage: DurableStorage
  readonly dispatch: Dispatch
  readonly send: SendRequest
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  /** Asks to be called back at `drive`, then; null: never again. */
  readonly wake: (atMs: number | null) => void
  /** Takes the batch off its tenant's list; called before it is erased, again until it succeeds. */
  readonly forget: (spec: BatchSpec) => Promise<void>
}
