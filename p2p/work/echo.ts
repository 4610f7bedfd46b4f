/**
 * Signed nonce echoes: an anchor measures how fast a node's own key answers. Rules [PL3]–[PL5]: docs/design/place.md.
 */
import type { PrivateKey, Stream } from '@libp2p/interface'
import { bytesToHex, concatBytes } from 'viem'
import { checkEcho, echoMessage, type EchoParties } from '#shared/place/echo.ts'
import { AppError } from '#shared/base/errors.ts'
import type { EchoStatement } from '#shared/place/evidence.ts'
import type { RandomBytes } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { createFrameStream } from '#p2p/stream/frame-stream.ts'
import { bytesFrame, type Frame } from '#p2p/stream/frames.ts'

/** Echoes of one measurement that match no request, before the stream is closed. */
export const ECHOES_REFUSED = 4

/** Protocol of the stream on which an anchor measures another hub's node; it carries no jobs. */
export const ECHO_PROTOCOL = '/littoral/echo/1.0.0'

const NONCE_BYTES = 32

export async function answerEcho(
  frame: Frame,
  parties: EchoParties,
  identity: PrivateKey,
): Promise<Frame> {
  const signature = await identity.sign(echoMessage(frame.body, parties))
  return bytesFrame('echoed', concatBytes([frame.body, signature]))
}

/** The result of a measurement, which an anchor signs as a statement. */
export type EchoResult = Pick<EchoStatement, 'minRttMs' | 'samples' | 'nonce' | 'nodeSignature'>

export interface EchoRunOptions extends EchoParties {
  readonly clock: Clock
  /** How far the clock may lag behind real time, in ms. */
  readonly clockResolutionMs: number
  readonly randomBytes: RandomBytes
  readonly log: Log
}

interface Sample {
  readonly rttMs: number
  readonly nonce: Uint8Array
  readonly signature: Uint8Array
}

/** The anchor's end of one measurement. */
export type EchoRun = ReturnType<typeof startEchoes>

/** Sends one echo at a time, so that a clock step can spoil only one. */
export function startEchoes(
  send: (frame: Frame) => void,
  { clock, clockResolutionMs, randomBytes, log, ...parties }: EchoRunOptions,
) {
  const samples: Sample[] = []
  const spent = new Map<string, 'late' | 'replayed'>()
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  let waiting: { readonly nonce: string; readonly sentAtMs: number } | undefined
  let wake: (sample: Sample | undefined) => void = () => {}
  let refused = 0

  const ask = async (): Promise<Sample | undefined> => {
    const nonce = randomBytes(NONCE_BYTES)
    const name = bytesToHex(nonce)
    const { promise, resolve } = Promise.withResolvers<Sample | undefined>()
    wake = resolve
    const stopTimer = clock.after(LIMITS.echoTimeoutMs, () => {
      spent.set(name, 'late')
      waiting = undefined
      resolve(undefined)
    })
    waiting = { nonce: name, sentAtMs: clock.nowMs() }
    send(bytesFrame('echo', nonce))
    try {
      return await Promise.race([promise, ended.promise])
    } finally {
      stopTimer()
      waiting = undefined
    }
  }
  const run = async (): Promise<EchoResult> => {
    const untilMs = clock.nowMs() + LIMITS.echoRunMs
    for (let asked = 0; asked < LIMITS.echoSamples && clock.nowMs() < untilMs; asked += 1) {
      const sample = await ask()
      if (sample === undefined) continue
      await checkEcho(sample, parties)
      samples.push(sample)
    }
    return summarize(samples, clockResolutionMs)
  }
  return {
    /** @throws {AppError} node_timeout when too few echoes came back, forbidden for a signature that is not the node's */
    result: run(),
    lose: (error: AppError) => ended.reject(error),
    /** Takes an `echoed` frame. @throws {AppError} invalid_request after too many unasked ones */
    onFrame({ body }: Frame) {
      const nowMs = clock.nowMs()
      const nonce = body.subarray(0, NONCE_BYTES)
      const name = bytesToHex(nonce)
      if (waiting?.nonce === name) {
        const rttMs = nowMs - waiting.sentAtMs
        waiting = undefined
        spent.set(name, 'replayed')
        wake({ rttMs, nonce, signature: body.subarray(NONCE_BYTES) })
        return
      }
      const reason = spent.get(name) ?? 'unknown'
      log.warn('echo.refused', { nodeId: parties.nodeId, reason })
      // A slow line is no fault: it answers each nonce once, but too late to count.
      if (reason === 'late') spent.set(name, 'replayed')
      else refused += 1
      if (refused > ECHOES_REFUSED)
        throw new AppError('invalid_request', `${refused} echoes match no request.`)
    },
  }
}

function summarize(samples: readonly Sample[], clockResolutionMs: number): EchoResult {
  const byLength = samples.toSorted((a, b) => a.rttMs - b.rttMs)
  const second = byLength[1]
  if (second === undefined)
    throw new AppError('node_timeout', `Only ${samples.length} echoes came back in time.`)
  return {
    minRttMs: second.rttMs + clockResolutionMs,
    samples: samples.length,
    nonce: bytesToHex(second.nonce),
    nodeSignature: bytesToHex(second.signature),
  }
}

/** Measures a node on a stream of its own. @throws {AppError} node_timeout, node_lost, invalid_request, forbidden */
export async function measureStream(stream: Stream, options: EchoRunOptions): Promise<EchoResult> {
  const frames = createFrameStream(stream, {
    onFrame(frame) {
      if (frame.kind !== 'echoed')
        throw new AppError('invalid_request', `A ${frame.kind} frame came into a measurement.`)
      run.onFrame(frame)
    },
  })
  const run = startEchoes((frame) => frames.send(frame), options)
  void frames.ended.then((error) =>
    run.lose(error ?? new AppError('node_lost', 'The node left during the measurement.')),
  )
  try {
    const result = await run.result
    await frames.close()
    return result
  } catch (error) {
    frames.fail(error)
    throw error
  }
}

/** Serves the node's end of such a stream; resolves when the anchor closes it. @throws {AppError} what else ended it */
export async function serveEchoes(
  stream: Stream,
  parties: EchoParties,
  identity: PrivateKey,
): Promise<void> {
  const answers = createEchoAnswers(
    (frame) => frames.send(frame),
    (frame) => answerEcho(frame, parties, identity),
  )
  const frames = createFrameStream(stream, {
    onFrame(frame) {
      if (frame.kind !== 'echo')
        throw new AppError('invalid_request', `A ${frame.kind} frame came into a measurement.`)
      answers(frame)
    },
  })
  const error = await frames.ended
  if (error !== undefined) throw error
}

/** Answers echoes. A real anchor asks one at a time, so faster requests are refused. */
export function createEchoAnswers(
  send: (frame: Frame) => void,
  answer: (frame: Frame) => Promise<Frame>,
): (frame: Frame) => void {
  let open = 0
  return (frame) => {
    if (open >= ECHOES_REFUSED)
      throw new AppError('invalid_request', 'Echoes are requested faster than they can be signed.')
    open += 1
    void answer(frame)
      .then(send)
      .finally(() => {
        open -= 1
      })
      .catch(() => {})
  }
}
