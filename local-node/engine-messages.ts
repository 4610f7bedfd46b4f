/** What the node and its engine processes say to each other; both run the same build, and no one else can speak. */
import type { WireError } from '#shared/errors.ts'
import type { Adapter, Answer, Work } from '#shared/job.ts'
import type { AdmittedModel } from '#shared/node.ts'

/** What one engine process is for. */
export interface ChildSetup {
  readonly role: 'models' | 'kernels'
  readonly device: 'auto' | 'webgpu' | 'cpu'
  readonly kernels: 'any' | 'listed' | 'none'
  /** Ids of the manifests to load. */
  readonly models: readonly string[]
  /** The adapter that the kernel process found; null without WebGPU. */
  readonly adapter: Adapter | null
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

export type FromChild =
  | {
      readonly type: 'ready'
      readonly adapter: Adapter | null
      readonly models: readonly AdmittedModel[]
      readonly kernels: 'any' | readonly `0x${string}`[]
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
