/** One session: steps run in order on one node, its state is copied regularly, and a lost node is replaced. */
import { bytesToHex } from 'viem'
import { AppError, ERRORS, toAppError, toProblem, invariant } from '#shared/base/errors.ts'
import { newJobId, type Bytes32, type NodeId, type RandomBytes } from '#shared/base/ids.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { KERNEL_PRICE_MICRO_USD, kernelUnits } from '#shared/receipt/pricing.ts'
import { countryCode } from '#shared/law/region.ts'
import { parseBody } from '#worker/body/faults.ts'
import { parseText } from '#worker/body/parse-json.ts'
import { ClientMessage, isUsualStep, type ServerMessage, type StepMessage } from './messages.ts'
import type { DispatchRequest, DispatchResult, SessionGrant } from '#worker/protocols/hub.ts'
import {
  heldBytes,
  messageBytes,
  planSession,
  readAnswer,
  showState,
  workForStep,
  type Checkpoint,
  type SessionPlan,
} from './plan.ts'
import { createUnread, type Unread, SESSION_UNREAD_BYTES } from './unread.ts'

/** Unanswered steps of one session. */
export const SESSION_STEPS_WAITING = 64
/** Time for one step. */
const SESSION_STEP_MS = 15_000
/** One message of a session's client. */
export const SESSION_MESSAGE_BYTES = 8 * MIB
/** Times that one session may change its node. */
const SESSION_MOVES = 5
invariant(SESSION_STEP_MS < LIMITS.sessionIdleMs, 'A running step does not make its session idle.')

export interface SessionDeps {
  /** Returns the current grant. @throws {AppError} when the session may no longer run */
  readonly grant: () => Promise<SessionGrant>
  readonly dispatch: (
    request: DispatchRequest,
    payload: Uint8Array,
    signal: AbortSignal,
  ) => Promise<DispatchResult>
  /**
   * Counts a step against the tenant's quota and reserves its price.
   * @returns to be called once with the actual cost
   * @throws {AppError} rate_limited, payment_required, no_capacity
   */
  readonly reserve: (microUsd: number) => Promise<(spentMicroUsd: number) => void>
  /** Reserves bytes in the hub. @throws {AppError} no_capacity */
  readonly hold: (sizeBytes: number) => void
  readonly release: (sizeBytes: number) => void
  readonly send: (text: string) => void
  readonly close: (code: number, reason: string) => void
  readonly randomBytes: RandomBytes
}

/** Errors after which the session can continue from its checkpoint on another node. */
const CAN_MOVE: ReadonlySet<string> = new Set(['node_lost', 'node_timeout', 'no_capacity'])
/** A step not yet answered. Its text is held until then. */
interface Waiting {
  readonly message: StepMessage
  readonly sizeBytes: number
}

const NORMAL_CLOSE = 1000
const POLICY_CLOSE = 1008
const UNREAD_CLOSE = 4413
const UNREAD_REASON = 'unread: acknowledge what you receive (`received`)'

export class Session {
  readonly #deps: SessionDeps
  readonly #id: Bytes32
  readonly #ended = new AbortController()
  #waiting: Waiting[] = []
  #plan: SessionPlan | undefined
  #unread: Unread = createUnread(0)
  #checkpoint: Checkpoint = { step: 0, state: new Map() }
  /** The node that holds the state after `#done`; null if none does. */
  #nodeId: NodeId | null = null
  #done = 0
  #next = 1
  /** Set from a move until the client resumes: earlier steps still on their way are dropped. */
  #resumeFrom: number | undefined
  #moves = 0
  #isRunning = false

  constructor(deps: SessionDeps) {
    this.#deps = deps
    this.#id = bytesToHex(deps.randomBytes(32))
  }

  onMessage(text: string): void {
    if (this.#ended.signal.aborted) return
    try {
      const message = readMessage(text)
      if (message.type === 'open') this.#open(message)
      else {
        if (message.received !== undefined) this.#unread.received(message.received)
        if (message.type === 'step') this.#enqueue(message, text.length)
      }
    } catch (error) {
      this.#fail(error, null)
    }
  }

  /** Cancels the running step, because the client has gone. */
  end(): void {
    this.#ended.abort()
    this.#dropWaiting()
  }

  #open(message: ClientMessage & { type: 'open' }): void {
    if (this.#plan !== undefined)
      throw new AppError('invalid_request', 'The session is open already.')
    const plan = planSession(message)
    const stepBytes = messageBytes(plan)
    // Both copies are in memory while one replaces the other.
    this.#deps.hold(2 * heldBytes(plan) + SESSION_UNREAD_BYTES + stepBytes)
    this.#plan = plan
    this.#unread = createUnread(stepBytes)
    this.#checkpoint = plan.start
    this.#send({ type: 'opened', session: this.#id })
  }

  #enqueue(message: StepMessage, sizeBytes: number): void {
    if (this.#plan === undefined)
      throw new AppError('invalid_request', 'Send an `open` message before the first step.')
    if (this.#resumeFrom !== undefined) {
      if (message.step !== this.#resumeFrom) return
      this.#resumeFrom = undefined
    }
    if (message.step !== this.#next)
      throw new AppError(
        'invalid_request',
        `Got step ${message.step}; expected step ${this.#next}.`,
      )
    if (this.#waiting.length >= SESSION_STEPS_WAITING)
      throw new AppError('rate_limited', `${SESSION_STEPS_WAITING} steps wait already.`)
    this.#deps.hold(sizeBytes)
    this.#waiting.push({ message, sizeBytes })
    this.#next += 1
    if (!this.#isRunning) void this.#drain()
  }

  async #drain(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      if (!(await this.#unread.room(this.#ended.signal))) this.#leaveUnread()
      const next = this.#waiting.shift()
      if (next === undefined) break
      try {
        await this.#step(next.message)
      } catch (error) {
        if (!this.#move(error)) this.#fail(error, next.message.step)
      } finally {
        this.#deps.release(next.sizeBytes)
      }
    }
    this.#isRunning = false
  }

  async #step(message: StepMessage): Promise<void> {
    const plan = this.#plan
    if (plan === undefined) return
    const { step } = message
    const isCheckpoint = step - this.#checkpoint.step >= plan.open.checkpointEvery
    const restore = this.#nodeId === null ? this.#checkpoint : undefined
    const grant = await this.#deps.grant()
    const job = workForStep(plan, message, { sessionId: this.#id, restore, isCheckpoint })
    const { outcome, payload } = await this.#dispatch(this.#request(grant, job.work), job.payload)
    if (this.#ended.signal.aborted) return
    this.#done = step
    this.#nodeId = outcome.nodeId
    this.#moves = 0
    const { outputs } = outcome.answer
    const { shown, state } = readAnswer(plan, { outputs, payload })
    const { place, timing, receiptId } = outcome
    this.#send({
      type: 'result',
      step,
      outputs: shown,
      receipt: receiptId,
      node: outcome.nodeId,
      region: countryCode(place.country),
      evidence: `${place.evidence}; source=${place.source}`,
      computeMs: timing.computeMs,
      networkMs: timing.networkMs,
    })
    if (!isCheckpoint) return
    this.#checkpoint = { step, state }
    const shownState = plan.open.checkpointData ? { state: showState(this.#checkpoint) } : {}
    this.#send({ type: 'checkpoint', step, ...shownState })
  }

  #send(message: ServerMessage): void {
    if (this.#ended.signal.aborted) return
    const text = JSON.stringify(message)
    const isTaken = this.#unread.sent(text.length)
    this.#deps.send(text)
    if (!isTaken) this.#leaveUnread()
  }

  #leaveUnread(): void {
    if (this.#ended.signal.aborted) return
    this.end()
    this.#deps.close(UNREAD_CLOSE, UNREAD_REASON)
  }

  /** A step is a job: it counts and costs like any other. */
  async #dispatch(request: DispatchRequest, payload: Uint8Array): Promise<DispatchResult> {
    const settle = await this.#deps.reserve(request.units * request.priceMicroUsd)
    let spentMicroUsd = 0
    try {
      const result = await this.#deps.dispatch(request, payload, this.#ended.signal)
      spentMicroUsd = Number(result.outcome.amountMicroUsd)
      return result
    } finally {
      settle(spentMicroUsd)
    }
  }

  #request(grant: SessionGrant, work: DispatchRequest['work']): DispatchRequest {
    const { keyId: _keyId, ingress: _ingress, ...sender } = grant
    return {
      ...sender,
      jobId: newJobId(this.#deps.randomBytes),
      work,
      units: work.kind === 'kernel' ? kernelUnits(work) : 1,
      priceMicroUsd: KERNEL_PRICE_MICRO_USD,
      timeoutMs: SESSION_STEP_MS,
      stream: false,
      nodeId: this.#nodeId,
    }
  }

  /** Gives up the node and asks the client to resume after the checkpoint. @returns false if that cannot help */
  #move(cause: unknown): boolean {
    const error = toAppError(cause)
    if (this.#ended.signal.aborted) return true
    if (!CAN_MOVE.has(error.code)) return false
    // A step that failed with its state supplied will fail on another node too.
    if (this.#nodeId === null || this.#moves >= SESSION_MOVES) return false
    this.#moves += 1
    this.#nodeId = null
    this.#done = this.#checkpoint.step
    this.#expect(this.#checkpoint.step + 1)
    this.#send({ type: 'moved', resumeFrom: this.#next, reason: error.detail })
    return true
  }

  /** Drops waiting steps, and those still on their way, until this step comes again. */
  #expect(step: number): void {
    this.#dropWaiting()
    this.#next = step
    this.#resumeFrom = step
  }

  #dropWaiting(): void {
    for (const { sizeBytes } of this.#waiting) this.#deps.release(sizeBytes)
    this.#waiting = []
  }

  /** Reports an error. A retryable one leaves the session open; any other ends it. */
  #fail(cause: unknown, step: number | null): void {
    if (this.#ended.signal.aborted) return
    const error = toAppError(cause)
    const mayPass = ERRORS[error.code].retryable && this.#plan !== undefined
    if (mayPass) this.#expect(this.#done + 1)
    const { error: shown, rule } = toProblem(error, this.#id)
    this.#send({
      type: 'error',
      step,
      error: { ...shown, ...(rule === undefined ? {} : { rule }) },
    })
    if (mayPass) return
    this.end()
    this.#deps.close(isOfPolicy(error) ? POLICY_CLOSE : NORMAL_CLOSE, error.code)
  }
}

function isOfPolicy({ code }: AppError): boolean {
  return code.startsWith('residency_') || code === 'forbidden' || code === 'unauthenticated'
}

function readMessage(text: string): ClientMessage {
  if (text.length > SESSION_MESSAGE_BYTES)
    throw new AppError('too_large', `A message is over ${SESSION_MESSAGE_BYTES} bytes.`)
  let value: unknown
  try {
    value = parseText(text)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid_request', 'The message is not JSON.', { cause })
  }
  return isUsualStep(value) ? (value as StepMessage) : parseBody(ClientMessage, value)
}
