/** What a node says to an engine in a process or worker of its own, and hears from it; both are of one build, and no one else can speak. */
import { AppError, type WireError } from '#shared/base/errors.ts'
import type { Answer, Work } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'

export type JobMessage =
  | {
      readonly type: 'run'
      readonly job: number
      readonly work: Work
      readonly payload: Uint8Array
    }
  | { readonly type: 'cancel'; readonly job: number }
  /** The reader has taken the bytes that were sent last; the next may come. */
  | { readonly type: 'taken'; readonly job: number }

export type JobReply =
  | { readonly type: 'bytes'; readonly job: number; readonly bytes: Uint8Array }
  | { readonly type: 'answer'; readonly job: number; readonly answer: Answer }
  | { readonly type: 'error'; readonly job: number; readonly error: WireError }

/** The answer to a call, which is any message that carries its number. */
export type CallReply =
  /** What a load came to; null for the rest. */
  | { readonly type: 'done'; readonly call: number; readonly admitted: AdmittedModel | null }
  | { readonly type: 'failed'; readonly call: number; readonly error: WireError }

/** With all its facts, as it is our own: for no error that another party sent. */
export function appErrorOf({ code, detail, meta }: WireError): AppError {
  return new AppError(code, detail, { meta: meta ?? {} })
}
