/** What the tab's node and its engine workers say to each other, beside what is said to every engine (`engine/remote/`). */
import type { DeviceOffer } from '#engine/device-offer.ts'
import type { EngineProgress } from '#engine/create-engine.ts'
import type { CallReply, JobMessage, JobReply } from '#engine/remote/messages.ts'
import type { WireError } from '#shared/base/errors.ts'
import type { Adapter } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'

/** What one engine worker is for: each has a device of its own, so that neither ends with the other. */
export type EngineRole = 'models' | 'kernels'

export type ToEngine =
  | JobMessage
  | { readonly type: 'setup'; readonly role: EngineRole }
  | { readonly type: 'load'; readonly call: number; readonly manifest: ModelManifest }
  | { readonly type: 'unload'; readonly call: number; readonly id: string }
  | { readonly type: 'abandon'; readonly call: number }
  /** Answered when nothing that was begun still runs. */
  | { readonly type: 'rest'; readonly call: number }

export type FromEngine =
  | JobReply
  | CallReply
  | {
      readonly type: 'ready'
      /** Null without WebGPU. */
      readonly adapter: Adapter | null
      readonly offer: DeviceOffer | undefined
      /** Whether models can be run on the adapter. */
      readonly hasWebGpu: boolean
      /** What its kernels may enable. */
      readonly features: readonly string[]
    }
  | { readonly type: 'unready'; readonly error: WireError }
  /** Its device or its runtime is gone; it takes no more work. */
  | { readonly type: 'lost'; readonly reason: string }
  /** Nothing of a lost device runs any more: the worker may be ended. */
  | { readonly type: 'settled' }
  | { readonly type: 'progress'; readonly progress: EngineProgress }
  | { readonly type: 'fetched'; readonly sizeBytes: number }
  /** It is not blocked, and rests when what it waits for has ended. */
  | { readonly type: 'heard'; readonly call: number }
