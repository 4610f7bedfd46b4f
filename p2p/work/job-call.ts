/** One job on a work stream at the hub: payload up, output down, one end. */
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { Canceller, type Cancellation } from '#p2p/stream/cancellation.ts'
import { createReceiveWindow, createSendWindow } from '#p2p/stream/credit.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { createInTurn } from './in-turn.ts'
import { SentResult } from './sent-result.ts'
import {
  bareFrame,
  jsonFrame,
  numberFrame,
  readJson,
  readNumber,
  type Frame,
} from '#p2p/stream/frames.ts'
import type { CancelReason, JobResult } from '#p2p/stream/messages.ts'
import { sendData } from '#p2p/stream/send-data.ts'
import { readNodeError } from '#p2p/stream/wire-error.ts'

/** Most frames of one output: many times what the longest text or the largest tensors need. */
const OUTPUT_FRAMES = 65_536

/** What ends the sending of a payload whose job is over. Nobody sees it. */
const OVER = new AppError('cancelled', 'The job is over.')

/** Why a job is taken from a silent node. */
export class SilentNode extends AppError {}

export interface RunJobOptions {
  /** Its reason tells the node why: {@link SilentNode}, node_timeout when the time is over, else nobody waits. */
  readonly cancellation: Cancellation
  readonly onChunk: (bytes: Uint8Array) => void | Promise<void>
  /** Called once the node has ended the job or has left. Until then a cancelled job takes one of its places. */
  readonly onEnd?: (() => void) | undefined
}

export interface JobCallParts {
  readonly job: number
  readonly frames: FrameStream
}

export type JobCall = ReturnType<typeof createJobCall>

/** The job has no time of its own: its cancellation ends it. */
export function createJobCall(
  { job, frames }: JobCallParts,
  { cancellation, onChunk, onEnd = () => {} }: RunJobOptions,
) {
  const outcome = Promise.withResolvers<JobResult>()
  const upload = createSendWindow()
  const stopped = new Canceller()
  let result: JobResult | undefined
  let removeListener = () => {}

  const isOver = () => stopped.isCancelled
  const settle = (end: () => void) => {
    if (isOver()) return
    stopped.cancel(OVER)
    removeListener()
    end()
  }
  /** Ends the job for the caller and cancels it on the node. */
  const giveUp = (error: AppError, why: unknown = error) =>
    settle(() => {
      if (result === undefined) frames.send(jsonFrame('cancel', job, { reason: reasonOf(why) }))
      outcome.reject(error)
    })
  const onCancel = () =>
    giveUp(new AppError('cancelled', 'The job was cancelled.'), cancellation.reason)

  const output = createOutput({
    onChunk,
    isOver,
    giveUp,
    grant: (grantBytes) => frames.send(numberFrame('credit', job, grantBytes)),
  })

  const sendPayload = async (payload: Uint8Array) => {
    await sendData({ frames, job, window: upload, cancellation: stopped }, payload)
    frames.send(bareFrame('end', job))
  }

  const onResult = (frame: Frame) => {
    const read = readJson(SentResult, frame)
    result = read
    void output.idle().then(() => settle(() => outcome.resolve(read)))
  }

  return {
    /** Whether the caller has its outcome. The node may still owe its reply to a cancel. */
    isOver,
    lose(error: AppError) {
      settle(() => outcome.reject(error))
      onEnd()
    },
    start(offer: Frame, payload: Uint8Array): Promise<JobResult> {
      frames.send(offer)
      removeListener = cancellation.onCancel(onCancel)
      // Rejects only after the job is over, when the outcome already says why.
      sendPayload(payload).catch(() => {})
      return outcome.promise
    },
    /** Takes a frame of this job. @returns `ended` for the node's last one */
    onFrame(frame: Frame): 'open' | 'ended' {
      if (frame.kind === 'data') output.onData(frame.body)
      else if (frame.kind === 'credit') upload.grant(readNumber(frame))
      else if (frame.kind === 'result') onResult(frame)
      else if (frame.kind === 'error') {
        const error = readNodeError(frame)
        settle(() => outcome.reject(error))
      } else throw new AppError('invalid_request', `A ${frame.kind} frame has no place in a job.`)
      if (frame.kind !== 'result' && frame.kind !== 'error') return 'open'
      onEnd()
      return 'ended'
    },
  }
}

function reasonOf(why: unknown): CancelReason {
  if (why instanceof SilentNode) return 'silent'
  const code = errorCode(why)
  if (code === 'node_timeout') return 'late'
  return code === 'cancelled' || code === undefined ? 'unwanted' : 'refused'
}

interface OutputParts extends Pick<RunJobOptions, 'onChunk'> {
  readonly isOver: () => boolean
  readonly giveUp: (error: AppError) => void
  readonly grant: (sizeBytes: number) => void
}

/** Passes the output to the caller in order, within its credit, bytes and number of frames. */
function createOutput({ onChunk, isOver, giveUp, grant }: OutputParts) {
  const window = createReceiveWindow()
  let sizeBytes = 0
  let frames = 0
  const delivery = createInTurn(async (bytes: Uint8Array) => {
    if (isOver()) return
    try {
      await onChunk(bytes)
    } catch (error) {
      giveUp(toAppError(error))
      return
    }
    const grantBytes = window.consume(bytes.byteLength)
    if (grantBytes > 0 && !isOver()) grant(grantBytes)
  })
  return {
    idle: () => delivery.idle(),
    onData(body: Uint8Array): void {
      if (body.byteLength === 0) throw new AppError('invalid_request', 'A data frame is empty.')
      window.receive(body.byteLength)
      if (isOver()) return
      frames += 1
      if (frames > OUTPUT_FRAMES)
        throw new AppError('invalid_request', `The output has over ${OUTPUT_FRAMES} frames.`)
      sizeBytes += body.byteLength
      if (sizeBytes <= LIMITS.jobOutputBytes) delivery.push(body)
      else
        giveUp(
          new AppError(
            'too_large',
            `The output is over the ${LIMITS.jobOutputBytes} bytes allowed.`,
          ),
        )
    },
  }
}
