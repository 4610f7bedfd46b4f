/** Takes a hub's jobs: bounds their bytes and time, counts how they end, and says where else a refused one may go. */
import { AppError, toAppError } from '#shared/base/errors.ts'
import { KIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import type { Cancellation } from '#p2p/stream/cancellation.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import type { KeptReceipt } from '#p2p/stream/messages.ts'
import { createTimerWheel } from '#p2p/stream/timer-wheel.ts'
import { BannedKernel, type KernelBans } from '#worker/hub/bans/kernel-bans.ts'
import { Capacity } from '#worker/hub/choice/capacity.ts'
import { createFairShare } from '#worker/hub/choice/fair-share.ts'
import { createHedgeBudget } from '#worker/hub/choice/hedge-budget.ts'
import { createModelLoads } from '#worker/hub/loads/model-loads.ts'
import { createSummary, type Summary } from '#worker/metrics/summary.ts'
import {
  answerBytes,
  type DispatchOutcome,
  type DispatchRequest,
  type DispatchResult,
  type HubGauges,
} from '#worker/protocols/hub.ts'
import { HubRefusal, steeringOf } from '#worker/protocols/steering.ts'
import type { AnswerSink } from '#worker/protocols/stream-envelope.ts'
import { answerJob, type AnswerDeps } from './answer-job.ts'
import type { AttemptDeps } from './attempt.ts'
import { createNodeChoice, isWantOfNode } from './node-choice.ts'
import { createJobCancellation } from './job-cancellation.ts'
import { Job } from './job.ts'
import { PATIENCE, type Patience, type SilenceDeps } from './silence.ts'
import { HUB_PAYLOAD_BYTES } from '#worker/protocols/envelope.ts'

/** Added to each job's payload when the hub counts bytes. */
const HUB_JOB_BYTES = 4 * KIB

export interface DispatcherDeps extends AttemptDeps {
  readonly random: () => number
  readonly log: Log
  readonly bans: KernelBans
  /** Bounds of a node's silence. @default PATIENCE */
  readonly patience?: Patience
  /** @default a timer wheel of its own */
  readonly clock?: Clock
}

interface Caller {
  readonly signal: AbortSignal
  /** Gets the answer's bytes as they come; undefined if the answer is wanted whole. */
  readonly sink: AnswerSink | undefined
}

interface Held {
  readonly cancellation: Cancellation
  release(): void
}

const MAX_WAITING = 256

export class Dispatcher {
  readonly capacity = new Capacity(MAX_WAITING)
  readonly #deps: DispatcherDeps
  readonly #clock: Clock
  readonly #answer: AnswerDeps
  readonly #active = new Set<string>()
  readonly #ended = new Map<string, number>()
  readonly #summary: Summary
  readonly #bytes = createFairShare(HUB_PAYLOAD_BYTES)

  constructor(deps: DispatcherDeps) {
    const { directory, bans, now, random, log, patience = PATIENCE } = deps
    this.#clock = deps.clock ?? createTimerWheel(systemClock)
    const loads = createModelLoads({ directory, now, log })
    const budget = createHedgeBudget()
    const choice = createNodeChoice({
      directory,
      bans,
      loads,
      capacity: this.capacity,
      budget,
      now,
      random,
    })
    const silence: SilenceDeps = {
      directory,
      others: (job, leftMs) => choice.others(job, leftMs),
      mayMove: ({ request }) => bans.hasRun(request.work),
      patience,
      now,
      log,
      clock: this.#clock,
    }
    this.#deps = deps
    const more = () => ({ outboxReceipts: deps.signing.waiting() })
    this.#summary = createSummary({ log, event: 'jobs.ended', clock: this.#clock, more })
    this.#answer = { choice, budget, silence, attempt: deps, bans, log }
  }

  /**
   * @throws {AppError} residency_unsatisfiable, no_capacity, deadline_unmeetable, node_lost, node_timeout, cancelled, or
   * the node's own error about the work
   */
  dispatch(
    request: DispatchRequest,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<DispatchResult> {
    return this.#run(request, payload, { signal, sink: undefined })
  }

  /** Passes the answer's bytes to `sink` as they come; after the first of them a lost node is final. */
  async stream(
    request: DispatchRequest,
    payload: Uint8Array,
    caller: Caller,
  ): Promise<DispatchOutcome> {
    return (await this.#run(request, payload, caller)).outcome
  }

  gauges(): Omit<HubGauges, 'outboxReceipts'> {
    return {
      jobs: Object.fromEntries(this.#ended),
      activeJobs: this.#active.size,
      waitingJobs: this.capacity.size,
    }
  }

  /**
   * Takes a receipt that a node kept over a reconnect. An answer leaves only after its receipt is durable. Nobody
   * got the answer of an unknown receipt, and nobody pays for it. Once this resolves, the node may forget it.
   * @throws {AppError} no_capacity while the job still runs, forbidden for another hub's receipt
   */
  async redeliver({ jobId, hub }: KeptReceipt): Promise<void> {
    if (this.#active.has(jobId)) throw new AppError('no_capacity', 'That job is still running.')
    if (hub !== this.#deps.hub) throw new AppError('forbidden', `The ticket is from hub ${hub}.`)
  }

  async #run(
    request: DispatchRequest,
    payload: Uint8Array,
    { signal, sink }: Caller,
  ): Promise<DispatchResult> {
    const { bans, now } = this.#deps
    let held: Held | undefined
    let job: Job | undefined
    try {
      const bar = await bans.check(request.work, request.tenant)
      held = this.#hold(request, payload, signal)
      const inputDigest = await digestBytes(payload)
      const asked = {
        request,
        payload,
        inputDigest,
        cancellation: held.cancellation,
        arrivedAtMs: now(),
        bar,
      }
      job = new Job(asked, sink)
      const result = await answerJob(job, this.#answer)
      this.#count('answered', result.outcome.timing)
      return result
    } catch (error) {
      if (job !== undefined) this.capacity.passOn(job.cancellation)
      const refusal = steered(error, job === undefined || job.tried.size === 0)
      this.#count(refusal.code)
      throw refusal
    } finally {
      held?.release()
    }
  }

  #count(outcome: string, timing?: DispatchOutcome['timing']): void {
    this.#ended.set(outcome, (this.#ended.get(outcome) ?? 0) + 1)
    if (timing === undefined) {
      this.#summary.count(outcome)
      return
    }
    const { queueMs: queue, networkMs: network, computeMs: compute } = timing
    this.#summary.count(outcome, { queue, network, compute })
  }

  /** Reserves a job's bytes and starts its time. @throws {AppError} no_capacity */
  #hold(
    { jobId, tenant, work, timeoutMs }: DispatchRequest,
    payload: Uint8Array,
    caller: AbortSignal,
  ): Held {
    const sizeBytes = HUB_JOB_BYTES + payload.length + (answerBytes(work) ?? 0)
    if (!this.#bytes.take(tenant, sizeBytes)) {
      throw new AppError(
        'no_capacity',
        "This tenant's jobs already hold its share of the hub's memory.",
        {
          meta: { retryAfterSeconds: 1 },
        },
      )
    }
    const time = createJobCancellation(timeoutMs, caller, this.#clock)
    this.#active.add(jobId)
    const release = () => {
      time.clear()
      this.#bytes.give(tenant, sizeBytes)
      this.#active.delete(jobId)
    }
    return { cancellation: time.cancellation, release }
  }
}

/**
 * Says whether another hub may be asked. A job that a node has had goes to no other hub: that node's receipt may still
 * come, and two ledgers would pay. The request that goes on therefore has no node's message.
 */
function steered(cause: unknown, isUntried: boolean): HubRefusal {
  const error = toAppError(cause)
  // An untried job is lost when its last node left while it waited.
  const isMissing = isWantOfNode(error) || error.code === 'node_lost'
  const mayAskElsewhere = isUntried && (isMissing || error instanceof BannedKernel)
  return new HubRefusal(error, { ...steeringOf(error), mayAskElsewhere })
}
