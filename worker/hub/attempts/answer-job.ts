/** Answers one job: choose a node, attempt it, a second one beside it when it is late, and others when nodes are lost. */
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import { hungKernel, type KernelAttempt, type KernelBans } from '#worker/hub/bans/kernel-bans.ts'
import type { HedgeBudget, SecondCost } from '#worker/hub/choice/hedge-budget.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import { type DispatchResult, DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'
import { attemptJob, manifestOf, type Attempt, type AttemptDeps } from './attempt.ts'
import type { Chosen, NodeChoice } from './node-choice.ts'
import { contradicted, keepEnd } from './ends.ts'
import type { Job } from './job.ts'
import { SilenceWatch, type SilenceDeps } from './silence.ts'
import { errorForCaller } from './error-for-caller.ts'

export interface AnswerDeps {
  readonly choice: NodeChoice
  readonly budget: HedgeBudget
  readonly silence: SilenceDeps
  readonly attempt: AttemptDeps
  readonly bans: KernelBans
  readonly log: Log
}

/** @throws {AppError} the choice's refusal, the last attempt's error, or the node's own error about the work */
export async function answerJob(job: Job, deps: AnswerDeps): Promise<DispatchResult> {
  const { firstAttempt = 1 } = job.request
  const end = firstAttempt + DISPATCH_ATTEMPTS
  let race = new Race(job, deps, { from: firstAttempt, end })
  while (race.next < end) {
    const isLast = race.next === end - 1
    const chosen = await deps.choice.choose(job, { lost: race.lost, isLast })
    const result = await race.run(chosen)
    if (result !== undefined) return result
    race = new Race(job, deps, { from: race.next, end, lost: race.lost })
  }
  throw race.lost ?? new AppError('node_lost', 'No node answered.')
}

interface Attempts {
  /** The first attempt's number, and the one after the last. */
  readonly from: number
  readonly end: number
  /** Error of the attempt before. */
  readonly lost?: AppError | undefined
}

interface Options {
  /** Asks a second node; absent if none may be asked. */
  readonly onLate?: () => boolean
  /** What was paid for a second attempt. */
  readonly cost?: SecondCost
}

/**
 * An attempt, and a second one on another node once the first is late. The first acceptable answer counts: it ends the
 * other attempt at once, before its receipt is kept, so that one answer is paid.
 */
class Race {
  readonly #job: Job
  readonly #deps: AnswerDeps
  readonly #end: number
  readonly #running = new Set<SilenceWatch>()
  readonly #outcome = Promise.withResolvers<DispatchResult | undefined>()
  /** Number of the next attempt. */
  next: number
  /** The last error. */
  lost: AppError | undefined

  constructor(job: Job, deps: AnswerDeps, { from, end, lost }: Attempts) {
    this.#job = job
    this.#deps = deps
    this.#end = end
    this.next = from
    this.lost = lost
  }

  /** @returns undefined if the attempts failed and another node may be tried @throws {AppError} a final error */
  run(chosen: Chosen): Promise<DispatchResult | undefined> {
    // The last attempt stays for the node of the best standing.
    const { nodeId, work } = this.#job.request
    // A session's state is on one node.
    const isSession = work.kind === 'kernel' && work.session !== undefined
    const mayAsk = this.next + 1 < this.#end - 1 && nodeId === null && !isSession
    this.#start(chosen, mayAsk ? { onLate: () => this.#second(chosen.member) } : {})
    return this.#outcome.promise
  }

  #second(late: Member): boolean {
    const { choice, silence } = this.#deps
    if (this.#job.isBegun || !silence.mayMove(this.#job)) return false
    const second = choice.second(this.#job, late)
    if (second !== undefined) this.#start(second, { cost: second.cost })
    return second !== undefined
  }

  #start({ member, onFree }: Chosen, { onLate, cost }: Options): void {
    const attempt = this.next
    this.next += 1
    this.#job.givenTo(member.admission.nodeId)
    const isLast = attempt === this.#end - 1
    const onFirst = () => this.#endOthers(watch)
    const watched = { member, isLast, onFree, onLate, onFirst }
    const watch = new SilenceWatch(this.#job, watched, this.#deps.silence)
    this.#running.add(watch)
    void this.#attempt({ member, attempt, watch }, cost)
  }

  #endOthers(watch: SilenceWatch): void {
    for (const other of this.#running) if (other !== watch) other.beaten()
  }

  async #attempt(about: Attempt, cost: SecondCost | undefined): Promise<void> {
    const { bans, budget, attempt: deps } = this.#deps
    const { member, watch } = about
    const job = this.#job
    const sentAtMs = deps.now()
    const tried = () => kernelAttempt(job, member, deps.now() - sentAtMs)
    try {
      const result = await attemptJob(job, about, deps)
      bans.completed(tried())
      contradicted(job, deps.directory)
      budget.earn(deps.directory.ownMs(member, job.request.work, job.request.units) ?? 0)
      this.#outcome.resolve(result)
    } catch (error) {
      if (watch.isBeaten) this.#wasBeaten(member, deps.now() - sentAtMs, cost)
      else this.#failed(about, error, tried())
    } finally {
      watch.stop()
      this.#running.delete(watch)
      if (this.#running.size === 0) this.#outcome.resolve(undefined)
    }
  }

  #wasBeaten(member: Member, ageMs: number, cost: SecondCost | undefined): void {
    const { budget, log } = this.#deps
    const { jobId } = this.#job.request
    log.debug('attempt.beaten', { jobId, nodeId: member.admission.nodeId })
    if (cost !== undefined) budget.cutOff(cost, ageMs)
  }

  #failed({ member, watch }: Attempt, error: unknown, tried: KernelAttempt): void {
    const taken = watch.taken()
    const failure = { cause: taken ?? error, isTaken: taken !== undefined, tried }
    try {
      this.lost = afterFailure(this.#job, member, failure, this.#deps)
    } catch (final) {
      this.#outcome.reject(final)
      this.#endOthers(watch)
    }
  }
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
