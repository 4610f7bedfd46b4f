/** The node's end of the work stream that its hub holds open. */
import type { Stream } from '@libp2p/interface'
import { AppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { cancellationOf, type Cancellation } from '#p2p/stream/cancellation.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { createSendWindow } from '#p2p/stream/credit.ts'
import { createEchoAnswers } from './echo.ts'
import { createFrameStream, type FrameStream } from '#p2p/stream/frame-stream.ts'
import {
  encodeHeader,
  jsonFrame,
  numberFrame,
  readJson,
  readNumber,
  type Frame,
} from '#p2p/stream/frames.ts'
import { createJobBoard } from './job-board.ts'
import { createLoadBoard } from './load-board.ts'
import { Greeting, ReceiptAck, Standing, Welcome, WORK_VERSION } from '#p2p/stream/messages.ts'
import { readHubError } from '#p2p/stream/wire-error.ts'
import type { WorkHandler } from './work-handler.ts'
import { HEARTBEAT_TIMEOUT_MS } from './heartbeat.ts'

export interface ServeWorkOptions {
  readonly log: Log
  readonly clock?: Clock
  /** Ends the stream in order. */
  readonly signal?: AbortSignal
  /** libp2p identity of the hub at the other end, which the node names in signed echoes. */
  readonly hubPeerId?: string
  readonly onWelcome?: (welcome: Welcome) => void
}

/**
 * Serves jobs until the stream ends; resolves after an orderly end.
 * @throws {AppError} what ended it otherwise, or what the hub refused this node with (upgrade_required, forbidden, …)
 */
export async function serveWork(
  stream: Stream,
  handler: WorkHandler,
  options: ServeWorkOptions,
): Promise<void> {
  const clock = options.clock ?? systemClock
  const ended = new AbortController()
  const receipts = createSendWindow()
  let welcomed = false

  const onFrame = (frame: Frame) => {
    silence.heard()
    if (frame.kind === 'error' && frame.job === 0) throw readHubError(frame)
    if (!welcomed) {
      onWelcome(frame)
      return
    }
    if (frame.job !== 0) board.onFrame(frame)
    else if (frame.kind === 'ping') frames.send(numberFrame('pong', 0, readNumber(frame)))
    else if (frame.kind === 'credit') receipts.grant(readNumber(frame))
    else if (frame.kind === 'load') loads.onFrame(frame)
    else if (frame.kind === 'echo') echoes(frame)
    else if (frame.kind === 'standing') handler.standing?.(readJson(Standing, frame))
    else if (frame.kind === 'ack') handler.acknowledged(readJson(ReceiptAck, frame).receiptIds)
    else throw new AppError('invalid_request', `A ${frame.kind} frame is not a hub's to send.`)
  }
  const onWelcome = (frame: Frame) => {
    if (frame.kind !== 'welcome')
      throw new AppError('invalid_request', `A ${frame.kind} frame came before the welcome.`)
    const { version } = readJson(Greeting, frame)
    if (version !== WORK_VERSION)
      throw new AppError(
        'upgrade_required',
        `This node speaks work protocol ${WORK_VERSION}; the hub answered with ${version}.`,
      )
    welcomed = true
    const welcome = readJson(Welcome, frame)
    handler.welcomed(welcome)
    options.onWelcome?.(welcome)
    sendPending({ frames, handler, receipts, cancellation: cancellationOf(ended.signal) }).catch(
      (error: unknown) => {
        if (!ended.signal.aborted) frames.fail(error)
      },
    )
  }

  const frames = createFrameStream(stream, { onFrame })
  const silence = watchSilence(frames, clock)
  const board = createJobBoard({ frames, handler, log: options.log })
  const loads = createLoadBoard({ frames, handler, signal: ended.signal })
  const echoes = createEchoAnswers(
    (frame) => frames.send(frame),
    (frame) => {
      const answer = handler.echo?.(frame, options.hubPeerId ?? '')
      return answer ?? Promise.reject(new AppError('forbidden', 'This node signs no echoes.'))
    },
  )
  const close = () => void frames.close()
  options.signal?.addEventListener('abort', close)
  if (options.signal?.aborted === true) close()
  try {
    frames.send(jsonFrame('hello', 0, await handler.hello()))
  } catch (error) {
    frames.fail(error)
  }
  const error = await frames.ended
  options.signal?.removeEventListener('abort', close)
  silence.stop()
  ended.abort(error)
  board.close()
  if (error !== undefined) throw error
}

interface PendingParts {
  readonly frames: FrameStream
  readonly handler: WorkHandler
  readonly receipts: ReturnType<typeof createSendWindow>
  readonly cancellation: Cancellation
}

/** Names the kept receipts, as fast as the hub looks at them. */
async function sendPending({
  frames,
  handler,
  receipts,
  cancellation,
}: PendingParts): Promise<void> {
  for (const kept of await handler.pendingReceipts()) {
    const frame = jsonFrame('receipt', 0, kept)
    encodeHeader(frame)
    await receipts.takeAll(frame.body.byteLength, cancellation)
    await frames.writable()
    frames.send(frame)
  }
}

/** Fails the stream of a silent hub: a hub pings, and one that is silent for three heartbeats is gone. */
function watchSilence(frames: FrameStream, clock: Clock) {
  let heardAtMs = clock.nowMs()
  let cancel = () => {}
  const check = () => {
    const silentMs = clock.nowMs() - heardAtMs
    if (silentMs >= HEARTBEAT_TIMEOUT_MS)
      frames.fail(
        new AppError('node_timeout', `The hub was silent for ${Math.round(silentMs)} ms.`),
      )
    else cancel = clock.after(HEARTBEAT_TIMEOUT_MS - silentMs, check)
  }
  cancel = clock.after(HEARTBEAT_TIMEOUT_MS, check)
  return {
    heard: () => {
      heardAtMs = clock.nowMs()
    },
    stop: () => cancel(),
  }
}
