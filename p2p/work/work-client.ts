/** The hub's end of one node's held work stream: many jobs at once over one stream. */
import type { Stream } from '@libp2p/interface'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import { createAckCoalescer } from '#p2p/stream/ack-coalescer.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { createReceiveWindow, frameCost } from '#p2p/stream/credit.ts'
import { startEchoes, type EchoResult, type EchoRun, type EchoRunOptions } from './echo.ts'
import { createFrameStream, type FrameStream } from '#p2p/stream/frame-stream.ts'
import { encodeHeader, jsonFrame, numberFrame, readJson, type Frame } from '#p2p/stream/frames.ts'
import { createHeartbeat, HEARTBEAT_MS } from './heartbeat.ts'
import { createInTurn } from './in-turn.ts'
import { createBudget } from '#p2p/stream/peer-budget.ts'
import { readWireError } from '#p2p/stream/wire-error.ts'
import {
  Greeting,
  Hello,
  KeptReceipt,
  OLDEST_WORK_VERSION,
  POLICIES_KEPT,
  WORK_VERSION,
  type JobOffer,
  type JobResult,
  type LoadRequest,
  type Standing,
  type Welcome,
} from '#p2p/stream/messages.ts'
import { createLoadCalls } from './load-calls.ts'
import { createJobCall, type JobCall, type RunJobOptions } from './job-call.ts'

/** Cancelled jobs of one stream whose end the node has not confirmed. */
export const CANCELLED_JOBS = 64

/** Below the frames, each side sends window updates: one byte for this many bytes of data. */
const WINDOW_SHARE = 32

export interface OpenWorkOptions {
  /** Checks the node and returns its welcome; a throw refuses the node with that error. */
  readonly welcome: (hello: Hello) => Promise<Welcome>
  /** Looks at a receipt from an earlier connection. When it resolves, the node is told that it may forget it. */
  readonly onReceipt: (kept: KeptReceipt) => Promise<void>
  /** Takes the newer presence record that comes with the reply to a load. */
  readonly onPresence?: (signed: SignedPresence) => Promise<void>
  /** Called for each valid frame, which does not count against what the node may send besides its work. */
  readonly onWork?: (costBytes: number) => void
  readonly log: Log
  readonly clock?: Clock
  /** @default HEARTBEAT_MS */
  readonly heartbeatMs?: number
}

/** A node's held work stream, as the rest of the hub uses it. */
export type WorkLink = LinkFrames['workLink']

/**
 * Greets the node on a stream that the hub has opened to it, and holds it.
 * @throws {AppError} upgrade_required, invalid_request, node_timeout, node_lost, or what `welcome` refused with
 */
export async function openWork(stream: Stream, options: OpenWorkOptions): Promise<WorkLink> {
  const clock = options.clock ?? systemClock
  const greeting = Promise.withResolvers<Hello>()
  let greeted = false
  let link: LinkFrames | undefined
  const frames = createFrameStream(stream, {
    onFrame(frame) {
      if (link !== undefined) link.onFrame(frame)
      else if (frame.kind === 'hello' && !greeted) {
        greeted = true
        greeting.resolve(readHello(frame))
      } else throw new AppError('invalid_request', `A ${frame.kind} frame came before the welcome.`)
    },
  })
  const stopTimer = clock.after(LIMITS.openTimeoutMs, () =>
    frames.fail(new AppError('node_timeout', 'The node did not send its hello in time.')),
  )
  void frames.ended.then((error) =>
    greeting.reject(error ?? new AppError('node_lost', 'The node left before its hello.')),
  )
  try {
    const hello = await greeting.promise
    const welcome = await options.welcome(hello)
    if (!frames.isOpen()) throw new AppError('node_lost', 'The node left during the greeting.')
    link = createLink({ frames, hello, clock, options })
    frames.send(jsonFrame('welcome', 0, welcome))
    link.heartbeat.start()
    return link.workLink
  } catch (error) {
    frames.fail(error)
    throw toAppError(error)
  } finally {
    stopTimer()
  }
}

function readHello(frame: Frame): Hello {
  const { version } = readJson(Greeting, frame)
  if (version >= OLDEST_WORK_VERSION) return readJson(Hello, frame)
  throw new AppError(
    'upgrade_required',
    `This hub speaks work protocol ${OLDEST_WORK_VERSION} to ${WORK_VERSION}; the node speaks ${version}.`,
  )
}

interface LinkParts {
  readonly frames: FrameStream
  readonly hello: Hello
  readonly clock: Clock
  readonly options: OpenWorkOptions
}

type LinkFrames = ReturnType<typeof createLink>

function createLink({ frames, hello, clock, options }: LinkParts) {
  const calls = new Map<number, JobCall>()
  const toFrame = createOffers()
  const receipts = createReceiptIntake(frames, clock, options)
  const heartbeat = createHeartbeat({
    frames,
    clock,
    everyMs: options.heartbeatMs ?? HEARTBEAT_MS,
  })
  const loads = createLoadCalls(frames, options.onPresence ?? (() => Promise.resolve()))
  const acks = createAckCoalescer(frames, clock)
  let lastJob = 0
  const measuring = createMeasuring({ frames, clock, options })

  const running = () => {
    let count = 0
    for (const call of calls.values()) if (!call.isOver()) count += 1
    return count
  }
  const closed = frames.ended.then((error) => {
    heartbeat.stop()
    acks.drop()
    const lost = new AppError('node_lost', error?.detail ?? 'The node left.', { cause: error })
    for (const call of calls.values()) call.lose(lost)
    calls.clear()
    loads.lose(lost)
    measuring.lose(lost)
    options.log.debug('link.closed', { code: error?.code })
  })

  const onFrame = (frame: Frame) => {
    take(frame)
    const { byteLength } = frame.body
    options.onWork?.(frameCost(byteLength) + byteLength / WINDOW_SHARE)
  }
  const take = (frame: Frame) => {
    if (frame.job !== 0) {
      const call = calls.get(frame.job)
      if (call === undefined)
        throw new AppError('invalid_request', `A ${frame.kind} frame names no open job.`)
      if (call.onFrame(frame) === 'ended') calls.delete(frame.job)
      return
    }
    if (frame.kind === 'pong') heartbeat.onPong(frame)
    else if (frame.kind === 'receipt') receipts.onFrame(frame)
    else if (frame.kind === 'loaded') loads.onFrame(frame)
    else if (frame.kind === 'echoed') measuring.onFrame(frame)
    else if (frame.kind === 'error') throw readWireError(frame)
    else throw new AppError('invalid_request', `A ${frame.kind} frame is not a node's to send.`)
  }

  const workLink = {
    hello,
    /** Resolves when the link has ended for any reason. */
    closed,
    /** Smallest of the last eight round trips, in ms; Infinity until the first pong. */
    rttMs: heartbeat.rttMs,
    inFlight: running,
    close() {
      acks.flush()
      return frames.close()
    },
    /** Asks the node to load a model. @throws {AppError} no_capacity, node_lost, or why the node did not */
    load: (request: LoadRequest) => loads.ask(request),
    /**
     * Measures how fast the node's own key answers; one measurement at a time.
     * @throws {AppError} no_capacity while another runs, node_timeout, node_lost, forbidden for another key's signature
     */
    measure: (about: Omit<EchoRunOptions, 'clock' | 'log'>) => measuring.run(about),
    tell: (standing: Standing) => frames.send(jsonFrame('standing', 0, standing)),
    /** Tells the node that these receipts are stored durably. */
    acknowledge: (ids: readonly Bytes32[]) => acks.push(ids),
    /**
     * Runs one job on the node. `onChunk` gets the output in order; no more is granted until it resolves.
     * @throws {AppError} cancelled, node_lost, too_large, invalid_request, or what the node refused with
     */
    async run(offer: JobOffer, payload: Uint8Array, runOptions: RunJobOptions): Promise<JobResult> {
      const owed = calls.size - running()
      const write = () => toFrame(lastJob + 1, offer)
      const offerFrame = beginJob({ frames, owed, write }, runOptions)
      lastJob = offerFrame.job
      const call = createJobCall({ job: lastJob, frames }, runOptions)
      calls.set(lastJob, call)
      acks.flush()
      options.onWork?.(payload.byteLength / WINDOW_SHARE)
      return call.start(offerFrame, payload)
    },
  }
  return { workLink, heartbeat, onFrame }
}

interface Beginning {
  readonly frames: FrameStream
  /** Number of cancelled jobs that the node has not ended. */
  readonly owed: number
  readonly write: () => Frame
}

/** Checks that a job may begin, and writes its offer. A job that may not has ended: the node has no part in it. */
function beginJob(
  { frames, owed, write }: Beginning,
  { cancellation, onEnd }: RunJobOptions,
): Frame {
  try {
    if (!frames.isOpen()) throw new AppError('node_lost', 'The node has left.')
    if (cancellation.isCancelled) throw new AppError('cancelled', 'The job was cancelled.')
    if (owed >= CANCELLED_JOBS)
      throw new AppError('no_capacity', 'The node does not end its cancelled jobs.')
    return write()
  } catch (error) {
    onEnd?.()
    throw error
  }
}

/** Writes offers. A policy goes with the first of them, and the node remembers it. */
function createOffers() {
  const policies = new BoundedMap<Bytes32, true>(POLICIES_KEPT)
  return (job: number, offer: JobOffer): Frame => {
    const { hash } = offer.policy
    const isKnown = policies.has(hash)
    const frame = jsonFrame('job', job, isKnown ? { ...offer, policy: null } : offer)
    // Throws for an offer that is too long for a frame; the node then has not seen the policy.
    encodeHeader(frame)
    if (!isKnown) policies.set(hash, true)
    return frame
  }
}

function createMeasuring({ frames, clock, options }: Omit<LinkParts, 'hello'>) {
  /** Kept after its end, to refuse late frames. */
  let last: EchoRun | undefined
  let isRunning = false
  return {
    lose: (error: AppError) => last?.lose(error),
    onFrame(frame: Frame) {
      if (last === undefined) throw new AppError('invalid_request', 'An echo matches no request.')
      last.onFrame(frame)
    },
    async run(about: Omit<EchoRunOptions, 'clock' | 'log'>): Promise<EchoResult> {
      if (!frames.isOpen()) throw new AppError('node_lost', 'The node has left.')
      if (isRunning) throw new AppError('no_capacity', 'This node is already being measured.')
      isRunning = true
      last = startEchoes((frame) => frames.send(frame), { ...about, clock, log: options.log })
      try {
        return await last.result
      } catch (error) {
        // A stream whose key is not the node's own is ended.
        if (errorCode(error) === 'forbidden') frames.fail(error)
        throw error
      } finally {
        isRunning = false
      }
    },
  }
}

/** Receipts that a node may name, at once and per second. */
const RECEIPTS_AT_ONCE = 1024
const RECEIPTS_PER_SECOND = 64

/**
 * Looks at receipts one by one, and grants more credit after each. A malformed one ends the stream. An unwanted
 * one only gets no acknowledgement.
 */
function createReceiptIntake(frames: FrameStream, clock: Clock, options: OpenWorkOptions) {
  const { onReceipt, log } = options
  const window = createReceiveWindow()
  const most = RECEIPTS_AT_ONCE
  const budget = createBudget({ most, perSecond: RECEIPTS_PER_SECOND, clock })
  const inTurn = createInTurn<{ kept: KeptReceipt; bodyBytes: number }>(async (next) => {
    while (frames.isOpen() && !budget.spend(1)) await sleep(clock, budget.waitMs(1))
    if (!frames.isOpen()) return
    try {
      await onReceipt(next.kept)
      frames.send(jsonFrame('ack', 0, { receiptIds: [next.kept.receiptId] }))
    } catch (error) {
      log.warn('receipt.refused', { code: toAppError(error).code })
    }
    const grantBytes = window.consume(next.bodyBytes)
    if (grantBytes > 0) frames.send(numberFrame('credit', 0, grantBytes))
  })
  return {
    onFrame(frame: Frame) {
      const bodyBytes = frame.body.byteLength
      window.receive(bodyBytes)
      inTurn.push({ kept: readJson(KeptReceipt, frame), bodyBytes })
    },
  }
}

function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve))
}
