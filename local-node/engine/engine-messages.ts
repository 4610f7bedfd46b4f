/** What the node and its engine processes say to each other; both run the same build, and no one else can speak. */
import type { DeviceOffer } from '#engine/device-offer.ts'
import type { WireError } from '#shared/base/errors.ts'
import type { Adapter, Answer, Work } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'

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
  | { readonly type: 'setup'; readonly setup: ChildSetup }
  | {
      readonly type: 'run'
      readonly job: number
      readonly work: Work
      readonly payload: Uint8Array
    }
  | { readonly type: 'cancel'; readonly job: number }
  /** The reader has taken the bytes that were sent last; the next may come. */
  | { readonly type: 'taken'; readonly job: number }
  | { readonly type: 'load'; readonly call: number; readonly model: PlacedModel }
  | { readonly type: 'unload'; readonly call: number; readonly id: string }

export type FromChild =
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
  | { readonly type: 'bytes'; readonly job: number; readonly bytes: Uint8Array }
  | { readonly type: 'answer'; readonly job: number; readonly answer: Answer }
  | { readonly type: 'error'; readonly job: number; readonly error: WireError }
  /** What a load came to; null for an unload. */
  | { readonly type: 'done'; readonly call: number; readonly admitted: AdmittedModel | null }
  | { readonly type: 'failed'; readonly call: number; readonly error: WireError }
