/** Answers one request with one node: choose, ticket, run, check, keep the receipt, and again elsewhere when a node is lost. */
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import type { StoredReceipt } from '#p2p/stream/messages.ts'
import { NodesWord } from '#p2p/stream/wire-error.ts'
import { answerBytes } from './answer-bytes.ts'
import { attemptJob, manifestOf, type AttemptDeps, type Job } from './attempt.ts'
import { Capacity } from '#worker/hub/choice/capacity.ts'
import {
  BannedKernel,
  bannedKernel,
  hungKernel,
  type KernelAttempt,
  type KernelBar,
  type KernelBans,
} from '#worker/hub/bans/kernel-bans.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type {
  DispatchOutcome,
  DispatchRequest,
  DispatchResult,
  HubGauges,
} from '#worker/protocols/hub.ts'
import { createFairShare } from '#worker/hub/choice/fair-share.ts'
import { createModelLoads, type ModelLoads } from '#worker/hub/loads/model-loads.ts'
import type { Neighbours } from '#worker/hub/mesh/neighbours.ts'
import type { PlacementJob } from '#worker/hub/loads/placement.ts'
import { schedule, type NodeView } from '#worker/hub/choice/schedule.ts'
import { contradicted, keepEnd } from './ends.ts'
import { createJobSignal } from './job-signal.ts'
import { createSlots } from './slots.ts'
import { createSilences, PATIENCE, type Patience, type Silences } from './silence.ts'
import { HubRefusal, steeringOf } from '#worker/protocols/steering.ts'
import type { AnswerSink } from '#worker/protocols/stream-envelope.ts'
import { isOfTheWork, tellWords } from './tell-words.ts'

export interface DispatcherDeps extends AttemptDeps {
  readonly random: () => number
  readonly log: Log
  /** Kernels that hang devices. */
  readonly bans: KernelBans
  /** How long a node may be silent. @default PATIENCE */
  readonly patience?: Patience
  /** @default systemClock */
  readonly clock?: Clock
  /** Nodes of the other hubs, where there are any. */
  readonly neighbours?: Pick<Neighbours, 'hubsFor'>
}

const MAX_WAITING = 256

export class Dispatcher {
  readonly capacity = new Capacity(MAX_WAITING)
  readonly #deps: DispatcherDeps
  readonly #active = new Set<string>()
  readonly #ended = new Map<string, number>()
  readonly #slots = createSlots()
  readonly #loads: ModelLoads
  readonly #silences: Silences
  readonly #bytes = createFairShare(LIMITS.hubPayloadBytes)

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
    this.#loads = createModelLoads(deps)
    this.#silences = createSilences({
      ...deps,
      patience: deps.patience ?? PATIENCE,
      others: (job, member, leftMs) => this.#others(job, member, leftMs),
      mayMove: ({ request: { work } }) => deps.bans.hasRun(work),
    })
  }

  /**
   * @throws {AppError} residency_unsatisfiable, no_capacity, deadline_unmeetable, node_lost, node_timeout, cancelled, or
   * what the node says of the work
   */
  dispatch(
    request: DispatchRequest,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<DispatchResult> {
    return this.#counted(this.#held(request, payload, { signal, sink: undefined }))
  }

  /** The same with the answer's bytes going to `sink` as they come; after the first of them a lost node is final. */
  async stream(
    request: DispatchRequest,
    payload: Uint8Array,
    to: { readonly signal: AbortSignal; readonly sink: AnswerSink },
  ): Promise<DispatchOutcome> {
    return (await this.#counted(this.#held(request, payload, to))).outcome
  }

  gauges(): Omit<HubGauges, 'outboxReceipts'> {
    return {
      jobs: Object.fromEntries(this.#ended),
      activeJobs: this.#active.size,
      waitingJobs: this.capacity.size,
    }
  }

  /** Counts how jobs end, by words of ours. */
  async #counted<T>(job: Promise<T>): Promise<T> {
    const count = (outcome: string) => this.#ended.set(outcome, (this.#ended.get(outcome) ?? 0) + 1)
    try {
      const result = await job
      count('answered')
      return result
    } catch (error) {
      count(toAppError(error).code)
      throw error
    }
  }

  async #held(
    request: DispatchRequest,
    payload: Uint8Array,
    to: { readonly signal: AbortSignal; readonly sink: AnswerSink | undefined },
  ): Promise<DispatchResult> {
    const tried = new Set<string>()
    try {
      const bar = await this.#deps.bans.check(request.work, request.tenant)
      return await this.#holding({ request, payload, bar, tried }, to)
    } catch (error) {
      throw this.#steered(error, request, tried)
    }
  }

  async #holding(
    { request, payload, bar, tried }: Pick<Job, 'request' | 'payload' | 'bar' | 'tried'>,
    { signal, sink }: { readonly signal: AbortSignal; readonly sink: AnswerSink | undefined },
  ): Promise<DispatchResult> {
    const held = LIMITS.hubJobBytes + payload.length + answerBytes(request.work)
    if (!this.#bytes.take(request.tenant, held)) {
      throw new AppError('no_capacity', 'The hub holds as many bytes of this tenant as it may.', {
        meta: { retryAfterSeconds: 1 },
      })
    }
    const ends = createJobSignal(request.timeoutMs, signal, this.#deps.clock)
    this.#active.add(request.jobId)
    try {
      const job: Job = {
        request,
        payload,
        inputDigest: await digestBytes(payload),
        signal: ends.signal,
        sink,
        tried,
        ends: [],
        arrivedAtMs: this.#deps.now(),
        loadMs: 0,
        isBegun: false,
        bar,
      }
      return await this.#attempts(job)
    } finally {
      ends.clear()
      this.#bytes.give(request.tenant, held)
      this.#active.delete(request.jobId)
    }
  }

  /**
   * A receipt that a node kept over a reconnect. An answer leaves only after its receipt is durable, so one that is not
   * known here answered nobody and nobody owes for it: in both cases the node may forget it once this resolves.
   * @throws {AppError} no_capacity while the job still runs, forbidden for another hub's receipt
   */
  redeliver({ receipt }: StoredReceipt): Promise<void> {
    const { jobId, hub } = receipt.ticket
    if (this.#active.has(jobId))
      return Promise.reject(new AppError('no_capacity', 'That job is still running.'))
    if (hub !== this.#deps.hub)
      return Promise.reject(new AppError('forbidden', `The ticket is from hub ${hub}.`))
    return Promise.resolve()
  }

  async #attempts(job: Job): Promise<DispatchResult> {
    let lost: AppError | undefined
    const { firstAttempt = 1 } = job.request
    const end = firstAttempt + LIMITS.dispatchAttempts
    for (let attempt = firstAttempt; attempt < end; attempt += 1) {
      const isLast = attempt === end - 1
      const { member, onFree } = await this.#choose(job, { lost, isLast })
      const watch = this.#silences.watch(job, { member, isLast, onFree })
      const sentAtMs = this.#deps.now()
      const tried = () => kernelAttempt(job, member, this.#deps.now() - sentAtMs)
      try {
        const result = await attemptJob(job, { member, attempt, watch }, this.#deps)
        this.#deps.bans.completed(tried())
        contradicted(job, this.#deps.directory)
        return result
      } catch (error) {
        const taken = watch.taken()
        lost = this.#afterFailure(job, member, {
          cause: taken ?? error,
          isTaken: taken !== undefined,
          tried: tried(),
        })
      } finally {
        watch.stop()
      }
    }
    throw lost ?? new AppError('node_lost', 'No node answered.')
  }

  async #choose(
    job: Job,
    { lost, isLast }: { readonly lost: AppError | undefined; readonly isLast: boolean },
  ): Promise<{ readonly member: Member; readonly onFree: () => void }> {
    const { directory, random } = this.#deps
    const { policy, allowed, work, nodeId, timeoutMs } = job.request
    let hasWaited = false
    for (;;) {
      const leftMs = timeoutMs - (this.#deps.now() - job.arrivedAtMs)
      const { bar, views } = this.#candidates(job)
      if (bar === 'all') throw lost ?? bannedKernel(work.digest)
      const wanted = { policy, allowed, work, tried: job.tried, nodeId, leftMs, isLast }
      const choice = schedule(views, wanted, random)
      if (choice.kind === 'refuse') {
        if (bar === 'public') throw lost ?? bannedKernel(work.digest)
        if (choice.error.code === 'no_capacity' && (await this.#bringModel(job))) continue
        const { error, hasNoNodes, lacksFeatures } = choice
        // Somebody could do the work: that it is wrong is then not for others to say.
        const isTooLate = error.code === 'deadline_unmeetable' && isOfTheWork(lost)
        if (lost !== undefined && !isTooLate) throw withoutOther(lost)
        if (hasWaited && isWantOfNode(error)) throw lastNodeGone()
        throw new HubRefusal(error, { hasNoNodes, lacksFeatures })
      }
      if (choice.kind === 'wait') {
        hasWaited = true
        if ('model' in work && choice.isBusy) this.#loads.spread(placementOf(job, work))
        await this.#waitForSlot(job, lost)
        continue
      }
      const member = directory.get(choice.nodeId)
      if (member === undefined) continue
      const giveBack = this.#slots.take(choice.nodeId, work)
      const onFree = () => {
        giveBack()
        this.capacity.notify()
      }
      return { member, onFree }
    }
  }

  /** The nodes that no ban keeps from the job. Now: it holds for what waits and for what tries again, too. */
  #candidates({ request: { work, units }, bar: before }: Job): {
    bar: KernelBar
    views: NodeView[]
  } {
    const bar = worse(before, this.#deps.bans.barOf(work))
    const { directory } = this.#deps
    const views = directory.views(work, units).map((view) => this.#slots.seen(view, work))
    if (bar === 'none') return { bar, views }
    return { bar, views: views.filter(({ facts }) => bar !== 'all' && facts.trust !== bar) }
  }

  /** What the same filter leaves besides this node, silent ones left out. */
  #others(job: Job, { admission }: Member, leftMs: number): 'none' | 'some' | 'quick' {
    const { directory, random } = this.#deps
    const { policy, allowed, work, units, nodeId } = job.request
    const views = this.#candidates(job).views.filter(({ standing }) => standing !== 0)
    const tried = new Set([...job.tried, admission.nodeId])
    const choice = schedule(views, { policy, allowed, work, tried, nodeId, leftMs }, random)
    if (choice.kind === 'refuse') return 'none'
    const other = choice.kind === 'node' ? directory.get(choice.nodeId) : undefined
    const slowestMs = other && directory.slowestMs(other, work, units)
    return slowestMs !== undefined && slowestMs < leftMs / 2 ? 'quick' : 'some'
  }

  /**
   * Says whether another hub may be asked, and where the same filter allows a node. A job that a node has had goes to no
   * other: that node's receipt may still come, and two ledgers would pay. So no node's words are in what goes on.
   */
  #steered(cause: unknown, request: DispatchRequest, tried: ReadonlySet<string>): HubRefusal {
    const error = toAppError(cause)
    const { code } = error
    // No node has had it: its last one left while it waited.
    const isMissing = isWantOfNode(error) || code === 'node_lost'
    const mayAskElsewhere = tried.size === 0 && (isMissing || error instanceof BannedKernel)
    const tryHubs = mayAskElsewhere ? (this.#deps.neighbours?.hubsFor(request) ?? []) : []
    return new HubRefusal(error, { ...steeringOf(error), mayAskElsewhere, tryHubs })
  }

  /** Has an allowed node load the model that none has, within the time of the job. */
  async #bringModel(job: Job): Promise<boolean> {
    const { work, warmOnly } = job.request
    if (!('model' in work) || warmOnly === true) return false
    const loadMs = await this.#loads.bring(placementOf(job, work), job.signal)
    job.loadMs += loadMs ?? 0
    return loadMs !== undefined
  }

  /** A job that a node has had goes to no other hub: that node's receipt may still come, and two ledgers would pay. */
  async #waitForSlot(job: Job, lost: AppError | undefined): Promise<void> {
    try {
      await this.capacity.wait(job.request.tenant, job.signal)
    } catch (error) {
      throw errorCode(error) === 'no_capacity' && !isOfTheWork(lost) ? (lost ?? error) : error
    }
  }

  /** Decides whether the job may try another node; rethrows what ends it. @returns what to tell if none is left */
  #afterFailure(
    job: Job,
    member: Member,
    {
      cause,
      isTaken,
      tried,
    }: { readonly cause: unknown; readonly isTaken: boolean; readonly tried: KernelAttempt },
  ): AppError {
    const error = toAppError(cause)
    const word = error instanceof NodesWord ? error : undefined
    const { nodeId } = member.admission
    job.tried.add(nodeId)
    this.#deps.log.warn('attempt.failed', {
      jobId: job.request.jobId,
      nodeId,
      code: error.code,
      // A node's words may quote the job.
      detail: word === undefined ? error.detail : undefined,
    })
    const { directory } = this.#deps
    if (word !== undefined) directory.heard(member)
    const isHung = this.#deps.bans.failed(tried, error)
    if (job.signal.aborted) throw toAppError(job.signal.reason)
    if (isHung) throw hungKernel(tried.heldMs)
    keepEnd(job, member, { error, isTaken }, directory)
    const manifest = manifestOf(job.request.work, this.#deps.manifests)
    const told = tellWords(job.ends, asLost(error), manifest)
    if (job.isBegun) throw told
    if (isTaken) return told
    const isSentAway = directory.barredMs(nodeId) > 0
    // Its other jobs go with a silent node; what may have hung it is not sent around.
    if (isSentAway && !this.#deps.bans.hasRun(job.request.work))
      throw new AppError('node_timeout', 'The node was silent, and was sent away.')
    if (word === undefined && error.code === 'node_timeout') throw error
    return told
  }
}

function isWantOfNode({ code }: AppError): boolean {
  return code === 'no_capacity' || code === 'residency_unsatisfiable'
}

/** As for a job that was on the node: whoever sends either again is told what is there then. */
function lastNodeGone(): AppError {
  return new AppError(
    'node_lost',
    'The last node that may run this job left, or is no longer allowed, while the job waited for it.',
  )
}

/** A node that could not be given the job after all is lost to it; what else is wrong with the job is told as it is. */
function asLost(error: AppError): AppError {
  if (error.code !== 'no_capacity') return error
  return new AppError('node_lost', `The node could not be used: ${error.detail}`, { cause: error })
}

/** It may be tried again, unlike one that no node has had: the same node may come back. */
function withoutOther(lost: AppError): AppError {
  if (lost.code !== 'node_lost') return lost
  const detail = `${lost.detail} No other allowed node is here.`
  return new AppError('node_lost', detail, { meta: lost.meta, cause: lost })
}

function worse(a: KernelBar, b: KernelBar): KernelBar {
  return a === 'none' || b === 'all' ? b : a
}

function placementOf(
  { request: { tenant, policy, allowed, nodeId }, tried }: Job,
  { digest }: Work,
): PlacementJob {
  return { tenant, policy, allowed, digest, tried, nodeId }
}

function kernelAttempt(
  { request }: Job,
  { admission, evidence }: Member,
  heldMs: number,
): KernelAttempt {
  const { jobId, tenant, work } = request
  return {
    jobId,
    tenant,
    work,
    reporter: admission.reporter,
    trust: evidence.place().trust,
    heldMs,
  }
}
