/**
 * Nodes that take a job and say nothing of it: how long that may last, when another allowed node gets the job, and what it
 * costs the silent one. Rules: docs/design/nodes.md.
 */
import { SilentNode } from '#p2p/work/job-call.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { errorCode, type AppError } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import type { Log } from '#shared/base/log.ts'
import type { Job } from './attempt.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'

/** How long silence may last on work that a node has answered: never less than this, else so many times its slowest answer. */
const LEAST_MS = 5_000
const TIMES_SLOWEST = 8
/** And on work that it has never answered: a first run compiles, and a kernel process is killed after 19 s. */
const FIRST_MS = { kernel: 25_000, library: 30_000, model: 20_000, text: 20_000 } as const
/** Beside that, for each KiB of the input: it travels, and there is more to do. */
const PER_KIB_MS = 10
const PER_KIB_OF_TEXT_MS = 1_000
/** From one look to the next, while nobody else can take the job. */
const LOOK_AGAIN_MS = 1_000

export interface Patience {
  /** @param slowestMs of the node's own answers to this work, as long as this job makes them; undefined for none */
  boundMs(work: Work, about: { payloadBytes: number; slowestMs: number | undefined }): number
}

export const PATIENCE: Patience = {
  boundMs(work, { payloadBytes, slowestMs }) {
    if (slowestMs !== undefined) return Math.max(LEAST_MS, TIMES_SLOWEST * slowestMs)
    const perKib = work.kind === 'text' ? PER_KIB_OF_TEXT_MS : PER_KIB_MS
    return FIRST_MS[work.kind] + (payloadBytes / 1024) * perKib
  },
}

export interface SilencesDeps {
  readonly directory: Directory
  /** Whether the same filter leaves another node that could take the job, and whether one is known to be quick enough. */
  readonly others: (job: Job, member: Member, leftMs: number) => 'none' | 'some' | 'quick'
  /** Whether the job may be given to a second node: a kernel that may have hung the first one is not sent around. */
  readonly mayMove: (job: Job) => boolean
  readonly patience: Patience
  readonly now: () => number
  readonly log: Log
  readonly clock?: Clock
}

export interface SilenceWatch {
  /** Fires when the job ends, and when it is taken from this node. */
  readonly signal: AbortSignal
  /** The node's bytes are being taken: until that is done it cannot say more. */
  taking<T>(taken: Promise<T>): Promise<T>
  /** Why the job was taken from the node; undefined when it was not. */
  taken(): AppError | undefined
  answered(): void
  stop(): void
}

export interface Silences {
  /** @param isLast whether no attempt follows this one */
  watch(job: Job, member: Member, isLast: boolean): SilenceWatch
}

export function createSilences(deps: SilencesDeps): Silences {
  return { watch: (job, member, isLast) => new Watch(deps, job, { member, isLast }) }
}

interface WatchedAttempt {
  readonly member: Member
  readonly isLast: boolean
}

class Watch implements SilenceWatch {
  readonly signal: AbortSignal
  readonly #deps: SilencesDeps
  readonly #job: Job
  readonly #attempt: WatchedAttempt
  readonly #controller = new AbortController()
  readonly #sentMs: number
  readonly #leftMs: number
  readonly #boundMs: number
  /** What waits behind others on one device is not silent while those are answered, up to its turn. */
  readonly #mostMs: number
  #heardMs: number
  #isHeard = false
  #taking = 0
  #isStruck = false
  #taken: AppError | undefined
  #cancel: () => void

  constructor(deps: SilencesDeps, job: Job, attempt: WatchedAttempt) {
    const { work, units, timeoutMs } = job.request
    const { member } = attempt
    this.#deps = deps
    this.#job = job
    this.#attempt = attempt
    this.#sentMs = this.#heardMs = deps.now()
    this.#leftMs = timeoutMs - (this.#sentMs - job.arrivedAtMs)
    const slowestMs = deps.directory.slowestMs(member, work, units)
    this.#boundMs = deps.patience.boundMs(work, { payloadBytes: job.payload.length, slowestMs })
    this.#mostMs = this.#boundMs * (1 + member.link.inFlight())
    this.signal = AbortSignal.any([job.signal, this.#controller.signal])
    this.#cancel = this.#lookLater()
  }

  taken(): AppError | undefined {
    return this.#taken
  }

  answered(): void {
    this.#cancel()
    this.#deps.directory.answered(this.#attempt.member, this.#isStruck)
  }

  stop(): void {
    this.#cancel()
    const isOver =
      this.#taken !== undefined || errorCode(this.#job.signal.reason) === 'node_timeout'
    // It had no less time than any work may take, and said nothing: others first, for a while.
    if (isOver && !this.#isHeard && !this.#isStruck && this.#ageMs() >= LEAST_MS) this.#tell(false)
  }

  async taking<T>(promise: Promise<T>): Promise<T> {
    this.#isHeard = true
    this.#heardMs = this.#deps.now()
    this.#taking += 1
    try {
      return await promise
    } finally {
      this.#taking -= 1
      this.#heardMs = this.#deps.now()
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
    const dueMs = [this.#boundMs - this.#silentMs(), this.#leftMs / 2 - this.#ageMs()]
    const delayMs = Math.min(LOOK_AGAIN_MS, ...dueMs.filter((ms) => ms > 0))
    const { clock = systemClock } = this.#deps
    return clock.after(Math.max(1, delayMs), () => this.#look())
  }

  #look(): void {
    const restMs = this.#leftMs - this.#ageMs()
    const isPast = this.#silentMs() >= this.#boundMs
    const isHalf = !this.#isHeard && restMs <= this.#leftMs / 2
    if (this.#taking === 0 && (isPast || isHalf)) {
      const found = this.#deps.others(this.#job, this.#attempt.member, restMs)
      // Early, where the time of the request would else be over first, or another is known to be quick.
      const isEarly = isHalf && (found === 'quick' || this.#boundMs > this.#leftMs)
      if (found !== 'none' && (isPast || isEarly)) this.#onSilent(isPast)
    }
    if (this.#taken === undefined) this.#cancel = this.#lookLater()
  }

  #onSilent(isPast: boolean): void {
    if (isPast && !this.#isStruck) {
      this.#isStruck = true
      this.#tell(true)
    }
    if (this.#attempt.isLast || this.#job.isBegun || !this.#deps.mayMove(this.#job)) return
    const forMs = Math.round(this.#deps.now() - this.#heardMs)
    this.#taken = new SilentNode('node_timeout', `The node was silent for ${forMs} ms.`)
    this.#controller.abort(this.#taken)
  }

  #tell(isPast: boolean): void {
    const { directory, log, now } = this.#deps
    const { member } = this.#attempt
    const { jobId, work } = this.#job.request
    log.warn('node.silent', { nodeId: member.admission.nodeId, jobId, isPast })
    directory.silent(member, work, { silentMs: now() - this.#heardMs, isPast })
  }
}
