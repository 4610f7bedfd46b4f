/** Messages between a node and an engine in its own process or worker. Both are of one build, and nobody else can send. */
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
  /** The reader has taken this many more bytes. */
  | { readonly type: 'taken'; readonly job: number; readonly sizeBytes: number }

/**
 * An engine sends this much more of an answer than its reader is known to have taken. A short answer thus needs no
 * reply, and leaves in one write with its bytes.
 */
export const UNTAKEN_BYTES = 16 * 1024

export type JobReply =
  | { readonly type: 'bytes'; readonly job: number; readonly bytes: Uint8Array }
  | { readonly type: 'answer'; readonly job: number; readonly answer: Answer }
  | { readonly type: 'error'; readonly job: number; readonly error: WireError }

/** The answer to a call: any message with a call's number. */
export type CallReply =
  /** The result of a load, or null. */
  | { readonly type: 'done'; readonly call: number; readonly admitted: AdmittedModel | null }
  | { readonly type: 'failed'; readonly call: number; readonly error: WireError }

/** Keeps every fact. Use it only for errors of our own processes. */
export function appErrorOf({ code, detail, meta }: WireError): AppError {
  return new AppError(code, detail, { meta: meta ?? {} })
}
