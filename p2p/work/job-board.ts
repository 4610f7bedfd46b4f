/** The jobs of one work stream at the node: payload in, output out, each ended once. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { payloadBytes } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { cancellationOf } from '#p2p/stream/cancellation.ts'
import { createReceiveWindow, createSendWindow } from '#p2p/stream/credit.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { jsonFrame, numberFrame, readJson, readNumber, type Frame } from '#p2p/stream/frames.ts'
import { Cancel, POLICIES_KEPT, type CancelReason, type JobOffer } from '#p2p/stream/messages.ts'
import { sendData } from '#p2p/stream/send-data.ts'
import { errorFrame } from '#p2p/stream/wire-error.ts'
import { SentOffer } from './sent-offer.ts'
import type { WorkHandler } from './work-handler.ts'

export interface JobBoardOptions {
  readonly frames: FrameStream
  readonly handler: Pick<WorkHandler, 'run'>
  readonly log: Log
}

interface Job {
  readonly number: number
  readonly offer: JobOffer
  readonly payload: Uint8Array
  filledBytes: number
  isStarted: boolean
  readonly abort: AbortController
  readonly output: ReturnType<typeof createSendWindow>
  readonly input: ReturnType<typeof createReceiveWindow>
}

/** Stops what still waits within a job that has ended. Nobody reads its stack, which would cost each job some µs. */
const ENDED = new AppError('cancelled', 'The job has ended.')

/** The error for each reason by which a hub ends a job. */
const ENDINGS: Readonly<Record<CancelReason, () => AppError>> = {
  unwanted: () => new AppError('cancelled', 'Nobody is waiting for the answer any more.'),
  late: () => new AppError('node_timeout', "The request's time was over before the answer."),
  silent: () =>
    new AppError(
      'node_timeout',
      'The hub heard nothing about the job for too long, and prefers other nodes for a while.',
    ),
  refused: () => new AppError('internal', "The hub did not accept this node's data."),
}

export function createJobBoard({ frames, handler, log }: JobBoardOptions) {
  const jobs = new Map<number, Job>()
  const whole = createPolicyMemory()
  let lastNumber = 0

  const end = (number: number, frame: Frame) => {
    if (!jobs.has(number)) return
    frames.send(frame)
    jobs.delete(number)
  }
  const endWith = (number: number, error: unknown) => end(number, errorFrame(number, error))

  const run = async (job: Job) => {
    const { number, offer, payload, abort } = job
    const target = {
      frames,
      job: number,
      window: job.output,
      cancellation: cancellationOf(abort.signal),
    }
    try {
      const emit = (bytes: Uint8Array) => sendData(target, bytes.slice())
      const result = await handler.run(offer, payload, { signal: abort.signal, emit })
      end(number, jsonFrame('result', number, result))
    } catch (error) {
      if (!abort.signal.aborted)
        log.info('job.failed', { jobId: offer.ticket.jobId, code: toAppError(error).code })
      endWith(number, error)
    } finally {
      abort.abort(ENDED)
    }
  }

  const onOffer = (frame: Frame) => {
    if (frame.job <= lastNumber)
      throw new AppError('invalid_request', `Job number ${frame.job} was used before.`)
    lastNumber = frame.job
    const offer = whole(readJson(SentOffer, frame))
    const refusal = refuse(payloadBytes(offer.work), jobs.size)
    if (refusal === undefined) jobs.set(frame.job, createJob(frame.job, offer))
    else frames.send(errorFrame(frame.job, refusal))
  }

  return {
    /** Takes a frame with a job number. @throws {AppError} invalid_request when the hub breaks the protocol */
    onFrame(frame: Frame) {
      if (frame.kind === 'job') {
        onOffer(frame)
        return
      }
      const job = jobs.get(frame.job)
      if (job === undefined) {
        // The hub may not know yet that the job has ended.
        if (frame.job <= lastNumber) return
        throw new AppError('invalid_request', `A ${frame.kind} frame names job ${frame.job}.`)
      }
      if (frame.kind === 'data') {
        const grantBytes = fill(job, frame.body)
        if (grantBytes > 0) frames.send(numberFrame('credit', job.number, grantBytes))
      } else if (frame.kind === 'end') {
        start(job)
        void run(job)
      } else if (frame.kind === 'credit') job.output.grant(readNumber(frame))
      else if (frame.kind === 'cancel') {
        const error = ENDINGS[readJson(Cancel, frame).reason]()
        job.abort.abort(error)
        // A handler that runs ends the job itself. Until then the node holds it, and the hub must know that.
        if (!job.isStarted) endWith(job.number, error)
      } else throw new AppError('invalid_request', `A ${frame.kind} frame has no place in a job.`)
    },
    /** Aborts every job: the hub is gone. */
    close() {
      for (const { abort } of jobs.values())
        abort.abort(new AppError('node_lost', 'The connection to the hub was lost.'))
      jobs.clear()
    },
  }
}

/** Puts back the policy of an offer whose hub has sent it before. */
function createPolicyMemory() {
  const policies = new BoundedMap<Bytes32, CompiledPolicy>(POLICIES_KEPT)
  return ({ policy, ...offer }: SentOffer): JobOffer => {
    const { policyHash } = offer.ticket
    if (policy !== null) policies.set(policy.hash, policy)
    const found = policy ?? policies.get(policyHash)
    if (found !== undefined) return { ...offer, policy: found }
    throw new AppError('invalid_request', `The hub never sent policy ${policyHash}.`)
  }
}

function createJob(number: number, offer: JobOffer): Job {
  return {
    number,
    offer,
    payload: new Uint8Array(payloadBytes(offer.work)),
    filledBytes: 0,
    isStarted: false,
    abort: new AbortController(),
    output: createSendWindow(),
    input: createReceiveWindow(),
  }
}

function refuse(sizeBytes: number, held: number): AppError | undefined {
  if (held >= LIMITS.nodeJobsInFlight)
    return new AppError('no_capacity', `The node holds ${held} jobs already.`)
  if (sizeBytes > LIMITS.requestBodyBytes)
    return new AppError('too_large', `A payload of ${sizeBytes} bytes is too large.`)
  return undefined
}

/** Adds payload bytes. @returns bytes to grant */
function fill(job: Job, body: Uint8Array): number {
  job.input.receive(body.byteLength)
  if (job.isStarted || job.filledBytes + body.byteLength > job.payload.byteLength)
    throw new AppError('invalid_request', 'The payload is longer than the job declared.')
  job.payload.set(body, job.filledBytes)
  job.filledBytes += body.byteLength
  return job.input.consume(body.byteLength)
}

function start(job: Job): void {
  if (job.isStarted || job.filledBytes !== job.payload.byteLength)
    throw new AppError('invalid_request', 'The payload ended early, or twice.')
  job.isStarted = true
}
