/** One job on a work stream as the hub sees it: payload up, output down, one end. */
import { AppError, toAppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Clock } from './clock.ts'
import { createReceiveWindow, createSendWindow } from './credit.ts'
import type { FrameStream } from './frame-stream.ts'
import { bareFrame, numberFrame, readJson, readNumber, type Frame } from './frames.ts'
import { JobResult } from './messages.ts'
import { sendData } from './send-data.ts'
import { readWireError } from './wire-error.ts'

export interface RunJobOptions {
  readonly signal: AbortSignal
  readonly onChunk: (bytes: Uint8Array) => void | Promise<void>
}

export interface JobCallParts {
  readonly job: number
  readonly frames: FrameStream
  readonly clock: Clock
}

export interface JobCall {
  start(offer: Frame, payload: Uint8Array): Promise<JobResult>
  /** Takes a frame of this job. @returns `ended` when the node has said its last word on it */
  onFrame(frame: Frame): 'open' | 'ended'
  /** Whether the caller has its answer; the node may still owe its confirmation of a cancel. */
  isOver(): boolean
  /** The stream is gone. */
  lose(error: AppError): void
}

export function createJobCall(parts: JobCallParts, { signal, onChunk }: RunJobOptions): JobCall {
  const { job, frames, clock } = parts
  const outcome = Promise.withResolvers<JobResult>()
  const upload = createSendWindow()
  const download = createReceiveWindow()
  const stopped = new AbortController()
  let outputBytes = 0
  let delivered = Promise.resolve()
  let result: JobResult | undefined

  const isOver = () => stopped.signal.aborted
  const settle = (end: () => void) => {
    if (isOver()) return
    stopped.abort(new AppError('cancelled', 'The job is over.'))
    signal.removeEventListener('abort', onAbort)
    stopTimer()
    end()
  }
  /** Ends the job for the caller, and asks the node to end it too. */
  const giveUp = (error: AppError) =>
    settle(() => {
      if (result === undefined) frames.send(bareFrame('cancel', job))
      outcome.reject(error)
    })
  const onAbort = () => giveUp(new AppError('cancelled', 'The job was cancelled.'))
  const stopTimer = clock.after(LIMITS.jobTimeoutMs, () =>
    giveUp(new AppError('node_timeout', `No answer within ${LIMITS.jobTimeoutMs} ms.`)),
  )

  const deliver = async (bytes: Uint8Array) => {
    if (isOver()) return
    try {
      await onChunk(bytes)
    } catch (error) {
      giveUp(toAppError(error))
      return
    }
    const grantBytes = download.consume(bytes.byteLength)
    if (grantBytes > 0 && !isOver()) frames.send(numberFrame('credit', job, grantBytes))
  }

  const sendPayload = async (payload: Uint8Array) => {
    await sendData({ frames, job, window: upload, signal: stopped.signal }, payload)
    frames.send(bareFrame('end', job))
  }

  const onData = (body: Uint8Array) => {
    if (body.byteLength === 0) throw new AppError('invalid_request', 'A data frame is empty.')
    download.receive(body.byteLength)
    if (isOver()) return
    outputBytes += body.byteLength
    if (outputBytes > LIMITS.jobOutputBytes)
      giveUp(
        new AppError('too_large', `The output is over the ${LIMITS.jobOutputBytes} bytes allowed.`),
      )
    else delivered = delivered.then(() => deliver(body))
  }

  const onResult = (frame: Frame) => {
    const read = readJson(JobResult, frame)
    result = read
    void delivered.then(() => settle(() => outcome.resolve(read)))
  }

  return {
    isOver,
    lose: (error) => settle(() => outcome.reject(error)),
    start(offer, payload) {
      signal.addEventListener('abort', onAbort)
      frames.send(offer)
      // Rejects only when the job is over, and then the outcome says why.
      sendPayload(payload).catch(() => {})
      return outcome.promise
    },
    onFrame(frame) {
      if (frame.kind === 'data') onData(frame.body)
      else if (frame.kind === 'credit') upload.grant(readNumber(frame))
      else if (frame.kind === 'result') onResult(frame)
      else if (frame.kind === 'error') {
        const error = nodesWord(readWireError(frame))
        settle(() => outcome.reject(error))
      } else throw new AppError('invalid_request', `A ${frame.kind} frame has no place in a job.`)
      return frame.kind === 'result' || frame.kind === 'error' ? 'ended' : 'open'
    },
  }
}

/** Marked as said by the node. One that ends a job which nobody cancelled has left it; another may run it. */
function nodesWord(error: AppError): AppError {
  const meta = { ...error.meta, isNodesWord: true }
  return error.code === 'cancelled'
    ? new AppError('node_lost', 'The node gave the job up.', { cause: error, meta })
    : new AppError(error.code, error.detail, { cause: error, meta })
}
