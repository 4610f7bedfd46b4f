/** Messages between the test, its page and the page's worker; bytes are base64. */
import type { Adapter, Answer, Work } from '#shared/job/job.ts'
import type { WireError } from '#shared/base/errors.ts'
import type { AdmittedModel } from '#shared/node/node.ts'

export type Ask =
  | { readonly type: 'open'; readonly models: readonly string[] }
  | { readonly type: 'run'; readonly work: Work; readonly payload: string }
  | { readonly type: 'cancel'; readonly call: number }
  | { readonly type: 'offer' }
  | { readonly type: 'rest' | 'wake' }

export interface Opened {
  readonly adapter: Adapter
  readonly models: readonly AdmittedModel[]
  readonly kernels: 'any' | readonly `0x${string}`[]
  readonly features: readonly string[]
}

export interface Ran {
  readonly answer: Answer
  readonly bytes: string
}

export type Reply = { readonly value: Opened | Ran | null } | { readonly error: WireError }

export interface ToWorker {
  readonly call: number
  readonly ask: Ask
}

export interface FromWorker {
  readonly call: number
  readonly reply: Reply
}

declare global {
  /** Set by the page: sends a call to the worker and returns its reply. */
  var callEngine: ((call: number, ask: Ask) => Promise<Reply>) | undefined
}
