/** The jobs of one work stream as the node sees them: payload in, output out, each ended once. */
import { AppError, toWireError } from '#shared/errors.ts'
import { payloadBytes } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import { createReceiveWindow, createSendWindow, DATA_CHUNK_BYTES } from './credit.ts'
import type { FrameStream } from './frame-stream.ts'
import { jsonFrame, numberFrame, readJson, readNumber, type Frame } from './frames.ts'
import { JobOffer } from './messages.ts'
import type { WorkHandler } from './work-handler.ts'

export interface JobBoardOptions {
  readonly frames: FrameStream
  readonly handler: Pick<WorkHandler, 'run'>
  readonly log: Log
}

export interface JobBoard {
  /** Takes a frame with a job number. @throws {AppError} invalid_request when the hub breaks the protocol */
  onFrame(frame: Frame): void
  /** Aborts every job: the hub is gone. */
  close(): void
}

interface Job {
  readonly number: number
  readonly offer: JobOffer
  readonly payload: Uint8Array
  filledBytes: number
  readonly abort: AbortController
  readonly output: ReturnType<typeof createSendWindow>
  readonly input: ReturnType<typeof createReceiveWindow>
}

export function createJobBoard({ frames, handler, log }: JobBoardOptions): JobBoard {
  const jobs = new Map<number, Job>()
  /** Handlers that have not settled: more than `jobs` while cancelled ones wind down. */
  let running = 0
  let lastNumber = 0

  /** The node's last word on a job. */
  const end = (number: number, frame: Frame) => {
    if (jobs.delete(number)) frames.send(frame)
  }
  const refuse = (number: number, error: unknown) =>
    frames.send(jsonFrame('error', number, toWireError(error)))

  const emit = async (job: Job, bytes: Uint8Array) => {
    const copy = bytes.slice()
    for (let at = 0; at < copy.byteLength;) {
      await frames.writable()
      const wanted = Math.min(DATA_CHUNK_BYTES, copy.byteLength - at)
      const taken = await job.output.take(wanted, job.abort.signal)
      frames.send({ kind: 'data', job: job.number, body: copy.subarray(at, at + taken) })
      at += taken
    }
  }

  const run = async (job: Job) => {
    running += 1
    try {
      const result = await handler.run(job.offer, job.payload, {
        signal: job.abort.signal,
        emit: (bytes) => emit(job, bytes),
      })
      const frame = jsonFrame('result', job.number, result)
      end(job.number, frame)
    } catch (error) {
      if (!job.abort.signal.aborted)
        log.info('job.failed', { jobId: job.offer.ticket.jobId, code: toWireError(error).code })
      end(job.number, jsonFrame('error', job.number, toWireError(error)))
    } finally {
      running -= 1
    }
  }

  const onOffer = (frame: Frame) => {
    if (frame.job <= lastNumber)
      throw new AppError('invalid_request', `Job number ${frame.job} was used before.`)
    lastNumber = frame.job
    const offer = readJson(JobOffer, frame)
    const sizeBytes = payloadBytes(offer.work)
    if (waiting() + running >= LIMITS.nodeJobsInFlight)
      refuse(frame.job, new AppError('no_capacity', `The node runs ${running} jobs already.`))
    else if (sizeBytes > LIMITS.requestBodyBytes)
      refuse(frame.job, new AppError('too_large', `A payload of ${sizeBytes} bytes is too large.`))
    else jobs.set(frame.job, createJob(frame.job, offer, sizeBytes))
  }
  const waiting = () => [...jobs.values()].filter((job) => !started.has(job)).length
  const started = new WeakSet<Job>()

  const onData = (job: Job, body: Uint8Array) => {
    job.input.receive(body.byteLength)
    if (started.has(job) || job.filledBytes + body.byteLength > job.payload.byteLength)
      throw new AppError('invalid_request', 'The payload is longer than its job says.')
    job.payload.set(body, job.filledBytes)
    job.filledBytes += body.byteLength
    const grantBytes = job.input.consume(body.byteLength)
    if (grantBytes > 0) frames.send(numberFrame('credit', job.number, grantBytes))
  }

  const onEnd = (job: Job) => {
    if (started.has(job) || job.filledBytes !== job.payload.byteLength)
      throw new AppError('invalid_request', 'The payload is shorter than its job says.')
    started.add(job)
    void run(job)
  }

  const onCancel = (job: Job) => {
    const error = new AppError('cancelled', 'The hub cancelled the job.')
    job.abort.abort(error)
    end(job.number, jsonFrame('error', job.number, toWireError(error)))
  }

  return {
    onFrame(frame) {
      if (frame.kind === 'job') {
        onOffer(frame)
        return
      }
      const job = jobs.get(frame.job)
      if (job === undefined) {
        // The hub may not have heard yet that the job has ended.
        if (frame.job <= lastNumber) return
        throw new AppError('invalid_request', `A ${frame.kind} frame names job ${frame.job}.`)
      }
      if (frame.kind === 'data') onData(job, frame.body)
      else if (frame.kind === 'end') onEnd(job)
      else if (frame.kind === 'credit') job.output.grant(readNumber(frame))
      else if (frame.kind === 'cancel') onCancel(job)
      else throw new AppError('invalid_request', `A ${frame.kind} frame has no place in a job.`)
    },
    close() {
      for (const job of jobs.values())
        job.abort.abort(new AppError('cancelled', 'The hub is gone.'))
      jobs.clear()
    },
  }
}

function createJob(number: number, offer: JobOffer, sizeBytes: number): Job {
  return {
    number,
    offer,
    payload: new Uint8Array(sizeBytes),
    filledBytes: 0,
    abort: new AbortController(),
    output: createSendWindow(),
    input: createReceiveWindow(),
  }
}
