/** Answers one request with one node: choose, ticket, run, check, keep the receipt, and again elsewhere when a node is lost. */
import { typedDigest, type Domain } from '#shared/eip712.ts'
import { AppError, errorCode, toAppError } from '#shared/errors.ts'
import type { Address, Bytes32, RandomBytes } from '#shared/ids.ts'
import type { Work } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import type { ModelManifest } from '#shared/model.ts'
import { decide } from '#shared/policy.ts'
import { digestBytes, receiptHash, type SignedReceipt } from '#shared/receipt.ts'
import type { Signer } from '#shared/signature.ts'
import type { JobOffer, JobResult, StoredReceipt } from '#p2p/messages.ts'
import { bytesToHex } from 'viem'
import { createByteSink } from './byte-sink.ts'
import { Capacity } from './capacity.ts'
import { checkResult } from './check-result.ts'
import { factsOf, type Directory, type Member } from './directory.ts'
import type { Outbox } from './outbox.ts'
import type { DispatchRequest, DispatchResult } from './protocol.ts'
import { schedule, type NodeView } from './schedule.ts'
import { issueTicket } from './ticket.ts'

export interface DispatcherDeps {
  readonly hub: string
  readonly signer: Signer
  readonly domain: Domain
  readonly directory: Directory
  readonly outbox: Outbox
  readonly manifests: readonly ModelManifest[]
  readonly now: () => number
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  /** Called when the outbox has something new. */
  readonly onReceipt: () => void
}

interface Job {
  readonly request: DispatchRequest
  readonly payload: Uint8Array
  readonly inputDigest: Bytes32
  readonly signal: AbortSignal
  readonly tried: Set<string>
  readonly arrivedAtMs: number
  /** What the first node said of the work. */
  verdict?: AppError
}

const MAX_WAITING = 256
/** What a node may say of the work itself. One node's word is not enough while another can be asked. */
const SAID_OF_THE_WORK: ReadonlySet<string> = new Set(['invalid_request', 'too_large'])

export class Dispatcher {
  readonly capacity = new Capacity(MAX_WAITING)
  readonly #deps: DispatcherDeps
  readonly #active = new Set<string>()
  /** Places taken on each node, from the choice on: its link knows of a job only once the ticket is signed. */
  readonly #placed = new Map<string, number>()
  #heldBytes = 0

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
  }

  /**
   * @throws {AppError} residency_unsatisfiable, no_capacity, node_lost, node_timeout, cancelled, or what the node says of the work
   */
  async dispatch(
    request: DispatchRequest,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<DispatchResult> {
    const held = payload.length + returnedBytes(request.work)
    if (this.#heldBytes + held > LIMITS.hubPayloadBytes) {
      throw new AppError('no_capacity', 'The hub holds as many bytes as it may.', {
        meta: { retryAfterSeconds: 1 },
      })
    }
    const timeout = AbortSignal.timeout(request.timeoutMs)
    const timedOut = new AppError('node_timeout', `No answer within ${request.timeoutMs} ms.`)
    const cancelled = new AppError('cancelled', 'The caller hung up.')
    const controller = new AbortController()
    timeout.addEventListener('abort', () => controller.abort(timedOut), { once: true })
    signal.addEventListener('abort', () => controller.abort(cancelled), { once: true })
    if (signal.aborted) controller.abort(cancelled)
    this.#heldBytes += held
    this.#active.add(request.jobId)
    try {
      const job: Job = {
        request,
        payload,
        inputDigest: await digestBytes(payload),
        signal: controller.signal,
        tried: new Set(),
        arrivedAtMs: this.#deps.now(),
      }
      return await this.#attempts(job)
    } finally {
      this.#heldBytes -= held
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
    for (let attempt = 1; attempt <= LIMITS.dispatchAttempts; attempt += 1) {
      const member = await this.#choose(job, lost)
      try {
        return await this.#attempt(job, member, attempt)
      } catch (error) {
        lost = this.#afterFailure(job, member, error)
      } finally {
        this.#place(member, -1)
        this.capacity.notify()
      }
    }
    throw lost ?? new AppError('node_lost', 'No node answered.')
  }

  async #choose(job: Job, lost: AppError | undefined): Promise<Member> {
    const { directory, random } = this.#deps
    const { policy, allowed, work } = job.request
    for (;;) {
      const choice = schedule(
        directory.views(work).map((view) => this.#withPlaced(view)),
        { policy, allowed, work, tried: job.tried },
        random,
      )
      if (choice.kind === 'refuse') throw lost ?? choice.error
      if (choice.kind === 'wait') {
        await this.#waitForPlace(job, lost)
        continue
      }
      const member = directory.get(choice.nodeId)
      if (member === undefined) continue
      this.#place(member, 1)
      return member
    }
  }

  #place({ admission: { nodeId } }: Member, change: 1 | -1): void {
    const count = (this.#placed.get(nodeId) ?? 0) + change
    if (count > 0) this.#placed.set(nodeId, count)
    else this.#placed.delete(nodeId)
  }

  #withPlaced(view: NodeView): NodeView {
    const placed = this.#placed.get(view.nodeId) ?? 0
    return placed > view.inFlight ? { ...view, inFlight: placed } : view
  }

  /** A job that a node has had goes to no other hub: that node's receipt may still come, and two ledgers would pay. */
  async #waitForPlace(job: Job, lost: AppError | undefined): Promise<void> {
    try {
      await this.capacity.wait(job.signal)
    } catch (error) {
      throw errorCode(error) === 'no_capacity' ? (lost ?? error) : error
    }
  }

  async #attempt(job: Job, member: Member, attempt: number): Promise<DispatchResult> {
    const { request, signal } = job
    const { deps, salt } = { deps: this.#deps, salt: bytesToHex(this.#deps.randomBytes(32)) }
    const nowMs = deps.now()
    const issued = await issueTicket(
      { request, member, attempt, salt, inputDigest: job.inputDigest },
      { ...deps, nowMs },
    )
    const offer: JobOffer = {
      ...issued,
      policy: request.policy,
      work: request.work,
      salt,
      traceparent: request.traceparent,
    }
    // The same decision once more at the last moment: a quarantine since the choice must hold.
    const verdict = decide(request.policy, request.allowed, factsOf(member))
    if (verdict !== 'allow')
      throw new AppError('no_capacity', `The node is no longer allowed (${verdict}).`)
    const output = createByteSink()
    const sentAtMs = deps.now()
    const result = await member.link.run(offer, job.payload, {
      signal,
      onChunk: (bytes) => output.push(bytes),
    })
    const roundTripMs = deps.now() - sentAtMs
    const payload = output.bytes()
    const receiptKey = member.presence.receiptKey
    const manifest = deps.manifests.find(
      (candidate) => 'model' in request.work && candidate.id === request.work.model,
    )
    await checkResult(result, payload, {
      ticket: issued.ticket,
      work: request.work,
      manifest,
      salt,
      receiptKey,
      domain: deps.domain,
    })
    const stored = storedFrom(offer, result, member)
    const signed = await this.#keep(stored, request.consumer)
    member.jobsDone += 1
    member.link.acknowledge([signed.id])
    deps.directory.recordService(member, request.work, roundTripMs)
    const computeMs = Math.min(result.answer.computeMs, roundTripMs)
    return {
      payload,
      outcome: {
        receiptId: signed.id,
        nodeId: issued.ticket.nodeId,
        place: issued.ticket.place,
        answer: result.answer,
        units: result.receipt.units,
        amountMicroUsd: result.receipt.amountMicroUsd,
        timing: {
          queueMs: sentAtMs - job.arrivedAtMs,
          networkMs: roundTripMs - computeMs,
          computeMs,
        },
        attempts: attempt,
      },
    }
  }

  /** Decides whether the job may try another node; rethrows what ends it. */
  #afterFailure(job: Job, member: Member, cause: unknown): AppError {
    const error = toAppError(cause)
    const { isNodesWord, invalidResult } = error.meta
    const { nodeId } = member.admission
    job.tried.add(nodeId)
    this.#deps.log.warn('attempt.failed', {
      jobId: job.request.jobId,
      nodeId,
      code: error.code,
      // A node's words may quote the job.
      detail: isNodesWord === true ? undefined : error.detail,
    })
    if (invalidResult === true) this.#deps.directory.quarantine(member, error.detail)
    if (job.signal.aborted) throw toAppError(job.signal.reason)
    if (error.code === 'node_timeout') throw error
    if (SAID_OF_THE_WORK.has(error.code)) {
      if (job.verdict !== undefined) throw job.verdict
      job.verdict = error
      return error
    }
    return error.code === 'node_lost'
      ? error
      : new AppError('node_lost', `The node gave the job back: ${error.detail}`)
  }

  async #keep(stored: StoredReceipt, consumer: Address | null): Promise<SignedReceipt> {
    const { signer, domain, outbox } = this.#deps
    const id = receiptHash(stored.receipt)
    const receipt: SignedReceipt = {
      version: 1,
      id,
      domain,
      receipt: stored.receipt,
      nodeSignature: stored.nodeSignature,
      ticketSignature: stored.ticketSignature,
      hubSignature: await signer.sign(typedDigest(domain, id)),
      hubKey: signer.publicKey,
      policy: stored.policy,
      presence: stored.presence,
    }
    outbox.put({ receipt, salt: stored.salt, consumer })
    this.#deps.onReceipt()
    return receipt
  }
}

/** Bytes that a kernel's answer will have; a model's is small beside its input, and bounded on the stream. */
function returnedBytes(work: Work): number {
  if (work.kind !== 'kernel') return 0
  return work.buffers.reduce((sum, buffer) => sum + (buffer.return ? buffer.sizeBytes : 0), 0)
}

function storedFrom(offer: JobOffer, result: JobResult, member: Member): StoredReceipt {
  return {
    receipt: result.receipt,
    nodeSignature: result.nodeSignature,
    ticketSignature: offer.ticketSignature,
    policy: offer.policy,
    presence: member.signedPresence,
    salt: offer.salt,
  }
}
