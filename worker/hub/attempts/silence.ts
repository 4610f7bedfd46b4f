/**
 * Watches a node that has a job. Asks for a second node beside a late one, gives the job of a silent one to another, and
 * counts the silence against the node. Rules: docs/design/nodes.md.
 */
import { Canceller, type Cancellation } from '#p2p/stream/cancellation.ts'
import { SilentNode } from '#p2p/work/job-call.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { HAND_MS, SHORT_TICK_MS } from '#p2p/stream/timer-wheel.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { answerBytes } from '#worker/protocols/hub.ts'
import type { Job } from './job.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'

/** Allowed silence on work that the node has answered before: a multiple of its slowest answer, or LEAST_MS. */
const LEAST_MS = 5_000
const TIMES_SLOWEST = 8
/** The same for work that it has never answered: a first run compiles, and a kernel process is killed after 19 s. */
const FIRST_MS = { kernel: 25_000, library: 30_000, model: 20_000, text: 20_000 } as const
/** Added for each KiB of the input, and of the answer if its size is known. */
const PER_KIB_MS = 10
const PER_KIB_OF_TEXT_MS = 1_000
/** Added for each token of a text that is wanted whole. */
const PER_TOKEN_MS = 100
/** Streamed text slower than this counts as silence. */
const LEAST_TEXT_PER_SECOND = 2
/** Longest time between two looks. A longer delay would end with the wheel's longer tick, which looks like a hub that is behind. */
const LOOK_AGAIN_MS = HAND_MS - 1
/** Time until a second node is asked for again, if none could be; it doubles each time up to LOOK_AGAIN_MS. */
const ASK_AGAIN_MS = 25
/** A look that comes so long after its time, beside the wheel's tick, shows that the hub itself is behind: the answer may be here, unread. */
const BEHIND_MS = SHORT_TICK_MS + 2
/**
 * A job that was taken from its node ends there within the longest job time, shortly before the link would end it. A
 * cancelled one ends within as long again.
 */
const MOST_MS = LIMITS.jobTimeoutMs - 1_000

export interface Patience {
  /**
   * @param slowestMs the node's own slowest answer to this work, scaled to this job; undefined for none @param othersMs
   * the median of the other nodes' slowest answers
   */
  boundMs(
    work: Work,
    about: {
      readonly payloadBytes: number
      readonly slowestMs: number | undefined
      readonly othersMs?: number | undefined
      /** True if nothing is heard before the whole answer. */
      readonly isWhole?: boolean
    },
  ): number
}

export const PATIENCE: Patience = {
  boundMs(work, { payloadBytes, slowestMs, othersMs = 0, isWhole = false }) {
    if (slowestMs !== undefined) return Math.max(LEAST_MS, TIMES_SLOWEST * slowestMs)
    const perKib = work.kind === 'text' ? PER_KIB_OF_TEXT_MS : PER_KIB_MS
    const tokens = isWhole && work.kind === 'text' ? work.maxTokens : 0
    const sizeKib = (payloadBytes + (answerBytes(work) ?? 0)) / 1024
    const sizeMs = sizeKib * perKib + tokens * PER_TOKEN_MS
    return Math.max(FIRST_MS[work.kind] + sizeMs, TIMES_SLOWEST * othersMs)
  },
}

export interface SilenceDeps {
  readonly directory: Directory
  /** Tells whether another node passes the same filter, and whether one is known to be fast enough. */
  readonly others: (job: Job, leftMs: number) => 'none' | 'some' | 'quick'
  /** Tells whether a second node may get the job. A kernel that may have hung the first node is not passed on. */
  readonly mayMove: (job: Job) => boolean
  readonly patience: Patience
  readonly now: () => number
  readonly log: Log
  readonly clock: Clock
}

export interface WatchedAttempt {
  readonly member: Member
  readonly isLast: boolean
  /** Called when the node's slot is free again: both ends of the run are over. */
  readonly onFree: () => void
  /** Asks a second node, since this one is late; undefined if none may be asked. @returns whether one has the job */
  readonly onLate?: (() => boolean) | undefined
  /** Called when the caller is to have this node's answer, before any other attempt can say so. */
  readonly onFirst: () => void
}

export class SilenceWatch {
  readonly #deps: SilenceDeps
  readonly #job: Job
  readonly #attempt: WatchedAttempt
  /** Cancels the node's run, which may outlast the job's waiting for it. */
  readonly #run = new Canceller()
  readonly #gone = Promise.withResolvers<never>()
  readonly #sentMs: number
  readonly #leftMs: number
  readonly #boundMs: number
  /** A job queued behind others on one device is not silent while those are answered, up to its turn. */
  readonly #mostMs: number
  readonly #isUnmeasured: boolean
  #heardMs: number
  #isHeard = false
  /** Length of the text since the last mark. */
  #newText = 0
  #isBegun = false
  #isWaiting = true
  #isBeaten = false
  #hasSecond = false
  #askAgainMs = ASK_AGAIN_MS
  /** Time of the next look. */
  #lookMs = 0
  #isOnProbation = false
  /** The slot is free once the hub's part of the run is over and the node has ended its own. */
  #isOver = false
  #hasNodeEnded = false
  #taking = 0
  #taken: AppError | undefined
  #stopTimer: () => void
  #forgetJob = () => {}

  constructor(job: Job, attempt: WatchedAttempt, deps: SilenceDeps) {
    const { work, units } = job.request
    const { member } = attempt
    const { directory, patience, now } = deps
    this.#deps = deps
    this.#job = job
    this.#attempt = attempt
    this.#sentMs = this.#heardMs = now()
    this.#leftMs = job.leftMs(this.#sentMs)
    const slowestMs = directory.slowestMs(member, work, units)
    const othersMs = slowestMs === undefined ? directory.othersMs(member, work, units) : undefined
    const payloadBytes = job.payload.length
    const { isWhole } = job
    this.#isUnmeasured = slowestMs === undefined
    this.#boundMs = patience.boundMs(work, { payloadBytes, slowestMs, othersMs, isWhole })
    this.#mostMs = this.#boundMs * (1 + member.link.inFlight())
    this.#gone.promise.catch(() => {})
    this.#stopTimer = this.#lookLater()
    this.#forgetJob = job.cancellation.onCancel(this.#onJobEnd)
  }

  /** Of the node's run. */
  get cancellation(): Cancellation {
    return this.#run
  }

  /** Tells whether the job still waits for this node. */
  isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Whether the caller gets this node's answer. If so, no other node's is taken. */
  isFirst(): boolean {
    if (this.#isWaiting) this.#attempt.onFirst()
    return this.#isWaiting
  }

  /** Another attempt ended the job. If the node was late, it would have been later still, which is recorded. */
  beaten(): void {
    if (!this.#isWaiting) return
    const { work, units } = this.#job.request
    this.#isBeaten = true
    this.#deps.directory.recordCut(this.#attempt.member, work, { ms: this.#ageMs(), units })
    this.#letGo(new AppError('cancelled', 'Another node was first.'))
  }

  get isBeaten(): boolean {
    return this.#isBeaten
  }

  /** Why the job was taken from the node; undefined if it was not. */
  taken(): AppError | undefined {
    return this.#taken
  }

  /** @returns the answer @throws what the run ends with, or why the job stopped waiting while the run continues */
  answer<T>(run: Promise<T>): Promise<T> {
    this.#isBegun = true
    run.then(
      () => this.#ended(true),
      () => this.#ended(false),
    )
    return Promise.race([run, this.#gone.promise])
  }

  /** Ends the attempt. If no run has begun, the node is free. */
  stop(): void {
    if (this.#isBegun) return
    this.#hasNodeEnded = true
    this.#over()
  }

  /** The node has ended the run, or has left. A node that was only told to end it still refuses another in its place. */
  nodeEnded(): void {
    this.#hasNodeEnded = true
    if (!this.#isOver) return
    this.#stopTimer()
    this.#attempt.onFree()
  }

  /** Notes text for a reader. Bytes alone do not count, since any node can send them. */
  heard(textLength: number): void {
    const nowMs = this.#deps.now()
    this.#newText += textLength
    const leastText = ((nowMs - this.#heardMs) / 1_000) * LEAST_TEXT_PER_SECOND
    if (this.#isHeard && this.#newText < leastText) return
    this.#isHeard = true
    this.#heardMs = nowMs
    this.#newText = 0
    if (this.#isWaiting) this.#endProbation()
  }

  /** Stops the clock while a reader takes the node's bytes: until then the node cannot send more. */
  async taking<T>(promise: Promise<T>): Promise<T> {
    this.#attempt.onFirst()
    const sinceMs = this.#deps.now()
    this.#taking += 1
    try {
      return await promise
    } finally {
      this.#taking -= 1
      this.#heardMs += this.#deps.now() - sinceMs
    }
  }

  #ageMs(): number {
    return this.#deps.now() - this.#sentMs
  }

  #silentMs(): number {
    const { directory, now } = this.#deps
    if (this.#ageMs() > this.#mostMs) return now() - this.#heardMs
    return now() - Math.max(this.#heardMs, directory.heardMs(this.#attempt.member))
  }

  #lookLater(): () => void {
    const dueMs = [
      this.#boundMs - this.#silentMs(),
      this.#leftMs / 2 - this.#ageMs(),
      MOST_MS - this.#ageMs(),
      this.#mayAsk() ? Math.max(this.#askAgainMs, this.#lateInMs()) : Infinity,
    ]
    const soonestMs = Math.min(LOOK_AGAIN_MS, ...dueMs.filter((ms) => ms > 0))
    const delayMs = Math.max(1, Math.ceil(soonestMs))
    this.#lookMs = this.#deps.now() + delayMs
    return this.#deps.clock.after(delayMs, () => this.#look())
  }

  #look(): void {
    if (this.#isOnProbation && this.#ageMs() >= MOST_MS) this.#onNeverEnded()
    else if (this.#isWaiting && this.#taking === 0) this.#judge()
    const isBehind = this.#deps.now() > this.#lookMs + BEHIND_MS
    if (!isBehind && this.#mayAsk() && this.#lateInMs() <= 0) this.#askSecond()
    if (!this.#run.isCancelled) this.#stopTimer = this.#lookLater()
  }

  #mayAsk(): boolean {
    const { onLate } = this.#attempt
    return onLate !== undefined && this.#isWaiting && !this.#isHeard && !this.#hasSecond
  }

  #askSecond(): void {
    this.#hasSecond = this.#attempt.onLate?.() === true
    this.#askAgainMs *= 2
  }

  #lateInMs(): number {
    const { directory, now } = this.#deps
    const { work, units } = this.#job.request
    const sentMs = this.#sentMs
    return directory.lateAtMs(this.#attempt.member, work, { units, sentMs }) - now()
  }

  #judge(): void {
    const { others, mayMove } = this.#deps
    const restMs = this.#leftMs - this.#ageMs()
    const isPast = this.#silentMs() >= this.#boundMs
    const isHalf = !this.#isHeard && restMs <= this.#leftMs / 2
    if (!isPast && !isHalf) return
    const found = others(this.#job, restMs)
    // Early if too little of the request's time would be left, or another node is known to be fast.
    const isEarly = isHalf && (found === 'quick' || this.#boundMs > this.#leftMs / 2)
    if (found === 'none' || !(isPast || isEarly)) return
    const isMoving = !this.#attempt.isLast && !this.#job.isBegun && mayMove(this.#job)
    if (isPast || (isMoving && this.#isUnmeasured)) this.#beginProbation()
    if (isMoving) this.#take()
  }

  #take(): void {
    const forMs = Math.round(this.#deps.now() - this.#heardMs)
    this.#taken = new SilentNode('node_timeout', `The node was silent for ${forMs} ms.`)
    this.#letGo(this.#taken)
  }

  readonly #onJobEnd = (): void => {
    if (this.#isWaiting) this.#letGo(this.#job.cancellation.reason)
  }

  /** Stops waiting for the node. On probation the node may still finish the job; otherwise its run is cancelled. */
  #letGo(reason: unknown): void {
    this.#isWaiting = false
    this.#gone.reject(reason)
    if (this.#isOnProbation) return
    // The node had at least LEAST_MS and said nothing, so other nodes are preferred for a while.
    const isOver = errorCode(reason) === 'node_timeout'
    if (isOver && !this.#isHeard && this.#ageMs() >= LEAST_MS)
      this.#deps.directory.suspect(this.#attempt.member)
    this.#run.cancel(reason)
  }

  #beginProbation(): void {
    const { directory, log, now } = this.#deps
    const { member } = this.#attempt
    if (this.#isOnProbation || !directory.putOnProbation(member)) return
    this.#isOnProbation = true
    const silentMs = now() - this.#heardMs
    log.warn('node.silent', {
      nodeId: member.admission.nodeId,
      jobId: this.#job.request.jobId,
      silentMs,
    })
  }

  #endProbation(): void {
    if (this.#isOnProbation) this.#deps.directory.endProbation(this.#attempt.member)
    this.#isOnProbation = false
  }

  /** The longest time for any job is over, so the node will not end it any more. */
  #onNeverEnded(): void {
    const { directory, log } = this.#deps
    const { member } = this.#attempt
    const { jobId, work, units } = this.#job.request
    this.#endProbation()
    log.warn('node.never-answered', { nodeId: member.admission.nodeId, jobId })
    directory.silent(member, work, { ms: this.#ageMs(), units })
    if (this.#isWaiting) this.#take()
    this.#run.cancel(this.#taken)
  }

  #ended(isAnswered: boolean): void {
    const { directory } = this.#deps
    const { member } = this.#attempt
    if (isAnswered) directory.answered(member)
    // The node left, or gave the job back.
    else if (this.#isOnProbation) directory.suspect(member)
    this.#endProbation()
    this.#over()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stopTimer()
    this.#forgetJob()
    if (this.#hasNodeEnded) this.#attempt.onFree()
    else this.#stopTimer = this.#deps.clock.after(MOST_MS, () => this.#disconnect())
  }

  /** The node holds on to a cancelled job, and with it a slot that no other job gets. */
  #disconnect(): void {
    const { directory, log } = this.#deps
    const { member } = this.#attempt
    log.warn('node.never-ended', {
      nodeId: member.admission.nodeId,
      jobId: this.#job.request.jobId,
    })
    directory.remove(member)
    member.link.close().catch(() => {})
  }
}
