/** Messages that are the same for an engine in a tab's worker and for one in a local node's process. */
import type { Adapter } from '#shared/job/job.ts'
import type { DeviceOffer } from '../device-offer.ts'
import type { CallReply, JobMessage, JobReply } from './messages.ts'

/** An engine opens one device for one role, so that a lost device ends only that role's work. */
export type EngineRole = 'models' | 'kernels'

export type EngineMessage =
  | JobMessage
  | { readonly type: 'unload'; readonly call: number; readonly id: string }

export type EngineReply = JobReply | CallReply

/** The findings of an engine that has opened. */
export interface OpenedEngine {
  /** Null without WebGPU. */
  readonly adapter: Adapter | null
  readonly offer: DeviceOffer | undefined
  /** WGSL features that kernels may enable. */
  readonly features: readonly string[]
}
