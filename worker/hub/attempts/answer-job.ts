/** Answers one job with one node: choose, attempt, and again elsewhere when a node is lost. */
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import { hungKernel, type KernelAttempt, type KernelBans } from '#worker/hub/bans/kernel-bans.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import { type DispatchResult, DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'
import { attemptJob, manifestOf, type AttemptDeps } from './attempt.ts'
import type { NodeChoice } from './node-choice.ts'
import { contradicted, keepEnd } from './ends.ts'
import type { Job } from './job.ts'
import { SilenceWatch, type SilenceDeps } from './silence.ts'
import { errorForCaller } from './error-for-caller.ts'

export interface AnswerDeps {
  readonly choice: NodeChoice
  readonly silence: SilenceDeps
  readonly attempt: AttemptDeps
  readonly bans: KernelBans
  readonly log: Log
}

/** @throws {AppError} the choice's refusal, the last attempt's error, or the node's own error about the work */
export async function answerJob(job: Job, deps: AnswerDeps): Promise<DispatchResult> {
  const { choice, silence, bans } = deps
  const { directory, now } = deps.attempt
  let lost: AppError | undefined
  const { firstAttempt = 1 } = job.request
  const end = firstAttempt + DISPATCH_ATTEMPTS
  for (let attempt = firstAttempt; attempt < end; attempt += 1) {
    const isLast = attempt === end - 1
    const { member, onFree } = await choice.choose(job, { lost, isLast })
    const watch = new SilenceWatch(job, { member, isLast, onFree }, silence)
    const sentAtMs = now()
    const tried = () => kernelAttempt(job, member, now() - sentAtMs)
    try {
      const result = await attemptJob(job, { member, attempt, watch }, deps.attempt)
      bans.completed(tried())
      contradicted(job, directory)
      return result
    } catch (error) {
      const taken = watch.taken()
      const failure = { cause: taken ?? error, isTaken: taken !== undefined, tried: tried() }
      lost = afterFailure(job, member, failure, deps)
    } finally {
      watch.stop()
    }
  }
  throw lost ?? new AppError('node_lost', 'No node answered.')
}

interface Failure {
  readonly cause: unknown
  /** True if the hub took the job from a silent node. */
  readonly isTaken: boolean
  readonly tried: KernelAttempt
}

/** Decides whether the job may try another node; rethrows an error that ends it. @returns the error to report if no node is left */
function afterFailure(
  job: Job,
  member: Member,
  { cause, isTaken, tried }: Failure,
  { bans, log, attempt: { directory, manifests } }: AnswerDeps,
): AppError {
  const error = toAppError(cause)
  const nodeError = error instanceof NodeError ? error : undefined
  const { nodeId } = member.admission
  const { work, jobId } = job.request
  job.failedOn(nodeId)
  // A node's message may quote the job.
  const detail = nodeError === undefined ? error.detail : undefined
  log.warn('attempt.failed', { jobId, nodeId, code: error.code, detail })
  if (nodeError !== undefined) directory.heard(member)
  const isHung = bans.failed(tried, error)
  if (job.cancellation.isCancelled) throw toAppError(job.cancellation.reason)
  if (isHung) throw hungKernel(tried.heldMs)
  keepEnd(job, member, { error, isTaken }, directory)
  const told = errorForCaller(job.ends, asLost(error), manifestOf(work, manifests))
  if (job.isBegun) throw told
  if (isTaken) return told
  // A silent node that is disconnected loses its other jobs too. A kernel that may have hung it is not passed on.
  if (directory.barredMs(nodeId) > 0 && !bans.hasRun(work))
    throw new AppError('node_timeout', 'The node was silent, and was disconnected.')
  if (nodeError === undefined && error.code === 'node_timeout') throw error
  return told
}

/** Reports a node that could not take the job after all as lost. Keeps other errors. */
function asLost(error: AppError): AppError {
  if (error.code !== 'no_capacity') return error
  return new AppError('node_lost', `The node could not be used: ${error.detail}`, { cause: error })
}

function kernelAttempt(
  { request: { jobId, tenant, work } }: Job,
  { admission: { reporter }, evidence }: Member,
  heldMs: number,
): KernelAttempt {
  return { jobId, tenant, work, reporter, trust: evidence.place().trust, heldMs }
}
