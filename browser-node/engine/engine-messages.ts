/** Messages between the tab's node and its engine workers, beyond those that every engine takes (`engine/remote/`). */
import type { EngineProgress } from '#engine/create-engine.ts'
import type {
  EngineMessage,
  EngineReply,
  EngineRole,
  OpenedEngine,
} from '#engine/remote/engine-messages.ts'
import type { WireError } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export type ToEngine =
  | EngineMessage
  | { readonly type: 'setup'; readonly role: EngineRole }
  | { readonly type: 'load'; readonly call: number; readonly manifest: ModelManifest }
  | { readonly type: 'abandon'; readonly call: number }
  /** The reply comes when all work that was begun has ended. */
  | { readonly type: 'rest'; readonly call: number }

export interface Ready extends OpenedEngine {
  readonly type: 'ready'
  /** Whether models can run on the adapter. */
  readonly hasWebGpu: boolean
}

export type FromEngine =
  | EngineReply
  | Ready
  | { readonly type: 'unready'; readonly error: WireError }
  /** Its device or its runtime is lost; it takes no more work. */
  | { readonly type: 'lost'; readonly reason: string }
  /** No work of a lost device runs any more: the worker may be ended. */
  | { readonly type: 'settled' }
  | { readonly type: 'progress'; readonly progress: EngineProgress }
  | { readonly type: 'fetched'; readonly sizeBytes: number }
  /** Sent at once for `rest`: no run blocks the worker. */
  | { readonly type: 'heard'; readonly call: number }
