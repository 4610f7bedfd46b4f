/** The jobs that run on a node: each is checked, run and signed for, its receipt is kept, or it fails once. */
import type { Engine } from '#engine/engine.ts'
import type { JobOffer, JobResult } from '#p2p/stream/messages.ts'
import type { WorkRunOptions } from '#p2p/work/work-handler.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import type { Signer } from '#shared/proof/signature.ts'
import { isSameDomain, type Domain } from '#shared/proof/domain.ts'
import { receiptOf } from '#shared/receipt/receipt.ts'
import { checkOffer } from './check-offer.ts'
import { holdOutput } from './hold-output.ts'
import type { ModelShelf } from './model-shelf.ts'
import type { OwnState } from './node-state.ts'
import { createNodeSigning, type NodeSigning, type ReceiptStore } from './receipt-store.ts'
import { runOffer } from './run-offer.ts'

export interface JobRunsDeps {
  readonly engine: Engine
  readonly shelf: ModelShelf | undefined
  /** P-256 key that signs receipts and owns the earnings. */
  readonly signer: Signer
  readonly receipts: ReceiptStore
  /** Offers are checked against it, and jobs change it. */
  readonly state: OwnState
  readonly offerChanged: () => void
  readonly now: () => number
  readonly log: Log
}

export class JobRuns {
  readonly #deps: JobRunsDeps
  /** Each running job, with how to give it back. */
  readonly #running = new Map<string, (error: AppError) => void>()
  #isLeaving = false
  #signing: NodeSigning | undefined
  #onIdle = () => {}

  constructor(deps: JobRunsDeps) {
    this.#deps = deps
  }

  /** @throws {AppError} why the node refused the job or failed it */
  async run(
    offer: JobOffer,
    payload: Uint8Array,
    { signal, emit }: WorkRunOptions,
  ): Promise<JobResult> {
    const { shelf, log, now } = this.#deps
    const takenAtMs = now()
    if (this.#isLeaving) throw new AppError('node_lost', 'The node is leaving.')
    const { ticket, work, traceparent } = offer
    const { jobId, attempt } = ticket
    const key = `${jobId}/${attempt}`
    if (this.#running.has(key))
      throw new AppError('invalid_request', `Job ${key} is already running here.`)
    const ended = Promise.withResolvers<JobResult>()
    let givenBack: AppError | undefined
    const giveBack = (error: AppError) => {
      givenBack = error
      ended.reject(error)
    }
    const letGo = 'model' in work ? shelf?.use(work.model) : undefined
    this.#count(() => this.#running.set(key, giveBack))
    const inputBytes = payload.length
    log.debug('job.started', { jobId, attempt, inputBytes, traceparent: traceparent ?? undefined })
    try {
      this.#perform(offer, payload, { signal, emit, takenAtMs }).then(ended.resolve, ended.reject)
      return await ended.promise
    } catch (error) {
      if (givenBack !== undefined) throw givenBack
      // The engine only says that it was stopped; the hub's reason says why.
      throw this.#failed(key, signal.aborted ? signal.reason : error)
    } finally {
      letGo?.()
      this.#count(() => this.#running.delete(key))
      this.#signing?.left()
      if (this.#running.size === 0) this.#onIdle()
    }
  }

  /** Ends all jobs with this error. Their signals then stop the engine. */
  giveBack(error: AppError): void {
    for (const giveBack of this.#running.values()) giveBack(error)
  }

  /** Takes no more jobs. Resolves when none runs, or when the time is over. */
  async finish(withinMs: number): Promise<void> {
    this.#isLeaving = true
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    const timer = setTimeout(resolve, withinMs)
    if (this.#running.size === 0) resolve()
    await promise
    clearTimeout(timer)
  }

  #count(change: () => void): void {
    change()
    this.#deps.state.update({ running: this.#running.size })
  }

  async #perform(
    offer: JobOffer,
    payload: Uint8Array,
    { signal, emit, takenAtMs }: WorkRunOptions & { readonly takenAtMs: number },
  ): Promise<JobResult> {
    const { engine, signer, state, now } = this.#deps
    const { nodeId, claim, welcome } = state.now()
    if (welcome === null) throw new AppError('no_capacity', 'The node is paused.')
    await checkOffer(offer, payload, { nodeId, claim, welcome, nowMs: now() })
    await this.#warm(offer, signal)
    const output = holdOutput(emit, offer.work.kind === 'text')
    const own = { engine, now, takenAtMs, signal, emit: output.emit }
    const { answer, work } = await runOffer(offer, payload, own)
    const receipt = receiptOf(offer.ticket, signer.publicKey, work)
    const nodeSignature = await this.#signingFor(welcome.domain).add({ receipt, salt: offer.salt })
    state.jobDone({
      jobId: receipt.ticket.jobId,
      work: 'model' in offer.work ? offer.work.model : 'kernel',
      provider: answer.provider,
      computeMs: answer.computeMs,
      amountMicroUsd: receipt.amountMicroUsd,
      finishedAtMs: receipt.finishedAtMs,
    })
    await output.release()
    return { answer, work, nodeSignature }
  }

  /** The next hub may settle elsewhere. */
  #signingFor(domain: Domain): NodeSigning {
    const { signer, receipts: store } = this.#deps
    if (this.#signing !== undefined && isSameDomain(this.#signing.domain, domain))
      return this.#signing
    const running = () => this.#running.size
    return (this.#signing = createNodeSigning({ signer, store, domain, running }))
  }

  /** A hub may send a job for a model that was just unloaded. */
  async #warm({ work }: JobOffer, signal: AbortSignal): Promise<void> {
    const { shelf, engine, offerChanged } = this.#deps
    if (shelf === undefined || !('model' in work)) return
    if (engine.models.some(({ digest }) => digest === work.digest)) return
    await shelf.load(work.digest, { signal })
    offerChanged()
  }

  #failed(key: string, cause: unknown): AppError {
    const error = toAppError(cause)
    this.#deps.log.warn('job.failed', { job: key, code: error.code, detail: error.detail })
    this.#deps.state.jobFailed(error)
    return error
  }
}
