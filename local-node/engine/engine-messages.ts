/** What a local node and its engine processes say to each other, beside what is said to every engine (`engine/remote/`). */
import type { DeviceOffer } from '#engine/device-offer.ts'
import type { CallReply, JobMessage, JobReply } from '#engine/remote/messages.ts'
import type { Adapter } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'

/** What one engine process is for. */
export interface ChildSetup {
  readonly role: 'models' | 'kernels'
  readonly device: 'auto' | 'webgpu' | 'cpu'
  readonly kernels: 'any' | 'listed' | 'none'
  /** Bytes of model files that it may hold; its memory limit rises with them. */
  readonly modelMemoryBytes?: number | undefined
  /** The adapter that the kernel process found; null without WebGPU. */
  readonly adapter: Adapter | null
  /** What that adapter has for models. */
  readonly offer?: DeviceOffer | undefined
}

/** A model and where its files lie: paths by SHA-256. */
export interface PlacedModel {
  readonly manifest: ModelManifest
  readonly paths: Readonly<Record<string, string>>
}

export type ToChild =
  | JobMessage
  | { readonly type: 'setup'; readonly setup: ChildSetup }
  | { readonly type: 'load'; readonly call: number; readonly model: PlacedModel }
  | { readonly type: 'unload'; readonly call: number; readonly id: string }

export type FromChild =
  | JobReply
  | CallReply
  | {
      readonly type: 'ready'
      readonly adapter: Adapter | null
      readonly offer: DeviceOffer | undefined
      readonly kernels: 'any' | readonly `0x${string}`[]
      readonly features: readonly string[]
    }
  | {
      readonly type: 'log'
      readonly level: 'info' | 'warn'
      readonly event: string
      readonly fields: Readonly<Record<string, string | number | boolean>>
    }
