/** Messages between a local node and its engine processes, beyond those that every engine takes (`engine/remote/`). */
import type { DeviceOffer } from '#engine/device-offer.ts'
import type {
  EngineMessage,
  EngineReply,
  EngineRole,
  OpenedEngine,
} from '#engine/remote/engine-messages.ts'
import type { Adapter } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface ChildSetup {
  readonly role: EngineRole
  /** `webgpu` requires an adapter, `cpu` uses none. */
  readonly device: 'auto' | 'webgpu' | 'cpu'
  readonly kernels: 'any' | 'listed' | 'none'
  /** Bytes of model files that it may hold; its memory limit grows with them. */
  readonly modelMemoryBytes?: number | undefined
  /** The adapter that the kernel process found; null without WebGPU. */
  readonly adapter: Adapter | null
  /** That adapter's offer to models. */
  readonly offer?: DeviceOffer | undefined
}

/** A model and the paths of its files by SHA-256. */
export interface PlacedModel {
  readonly manifest: ModelManifest
  readonly paths: Readonly<Record<string, string>>
}

export type ToChild =
  | EngineMessage
  | { readonly type: 'setup'; readonly setup: ChildSetup }
  | { readonly type: 'load'; readonly call: number; readonly model: PlacedModel }

export interface Ready extends OpenedEngine {
  readonly type: 'ready'
  readonly kernels: 'any' | readonly `0x${string}`[]
}

export type FromChild =
  | EngineReply
  | Ready
  | {
      readonly type: 'log'
      readonly level: 'info' | 'warn'
      readonly event: string
      readonly fields: Readonly<Record<string, string | number | boolean>>
    }
