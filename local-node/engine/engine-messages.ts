/** Messages between a local node and its engine processes, beyond those that every engine takes (`engine/remote/`). */
import type { DeviceOffer } from '#engine/device-offer.ts'
import type { FrameKinds } from '#engine/remote/pipe-frames.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
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

/** File descriptor of the pipe in an engine process. */
export const PIPE_FD = 3

/** Size of a message without its bytes. The longest have a model's golden cases, or a kernel's text. */
const CONTROL_BYTES = 4 * MIB

export const TO_CHILD: FrameKinds<ToChild> = {
  setup: { code: 1, mostBytes: CONTROL_BYTES },
  load: { code: 2, mostBytes: CONTROL_BYTES, number: 'call' },
  unload: { code: 3, mostBytes: CONTROL_BYTES, number: 'call' },
  run: {
    code: 4,
    mostBytes: CONTROL_BYTES + LIMITS.kernelTotalBytes,
    number: 'job',
    bytes: 'payload',
  },
  cancel: { code: 5, mostBytes: CONTROL_BYTES, number: 'job' },
  taken: { code: 6, mostBytes: CONTROL_BYTES, number: 'job' },
}

export const FROM_CHILD: FrameKinds<FromChild> = {
  ready: { code: 1, mostBytes: CONTROL_BYTES },
  log: { code: 2, mostBytes: CONTROL_BYTES },
  done: { code: 3, mostBytes: CONTROL_BYTES, number: 'call' },
  failed: { code: 4, mostBytes: CONTROL_BYTES, number: 'call' },
  bytes: {
    code: 5,
    mostBytes: CONTROL_BYTES + LIMITS.jobOutputBytes,
    number: 'job',
    bytes: 'bytes',
  },
  answer: { code: 6, mostBytes: CONTROL_BYTES, number: 'job' },
  error: { code: 7, mostBytes: CONTROL_BYTES, number: 'job' },
}
