/** Pings on a work stream, which measure a node's round trip and detect its loss. */
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { numberFrame, readNumber, type Frame } from '#p2p/stream/frames.ts'

export const HEARTBEAT_MS = 5_000
/** Silence after which a link counts as lost. */
export const HEARTBEAT_TIMEOUT_MS = 15_000
invariant(2 * HEARTBEAT_MS < HEARTBEAT_TIMEOUT_MS, 'One heartbeat may be lost.')

/** Round trips remembered. The smallest counts, since the others waited behind data. */
const SAMPLES = 8

export interface HeartbeatOptions {
  readonly frames: FrameStream
  readonly clock: Clock
  readonly everyMs: number
}

export type Heartbeat = ReturnType<typeof createHeartbeat>

/** Fails the stream with `node_timeout` when no pong has come for `HEARTBEAT_TIMEOUT_MS`. */
export function createHeartbeat({ frames, clock, everyMs }: HeartbeatOptions) {
  const samples: number[] = []
  let leastMs = Infinity
  const sentAt = new Map<number, number>()
  const timeoutMs = Math.max(HEARTBEAT_TIMEOUT_MS, everyMs * 3)
  let nonce = 0
  let heardAtMs = clock.nowMs()
  let cancel = () => {}

  const beat = () => {
    if (!frames.isOpen()) return
    const now = clock.nowMs()
    if (now - heardAtMs > timeoutMs) {
      frames.fail(new AppError('node_timeout', `The node was silent for ${timeoutMs} ms.`))
      return
    }
    nonce = (nonce + 1) >>> 0
    sentAt.set(nonce, now)
    frames.send(numberFrame('ping', 0, nonce))
    cancel = clock.after(everyMs, beat)
  }
  return {
    /** Sends the first ping at once. */
    start() {
      heardAtMs = clock.nowMs()
      beat()
    },
    stop: () => cancel(),
    rttMs: () => leastMs,
    onPong(frame: Frame) {
      const sent = sentAt.get(readNumber(frame))
      if (sent === undefined)
        throw new AppError('invalid_request', 'A pong matches no ping of this stream.')
      // Pongs come in order, so pings before this one will not be answered.
      for (const asked of sentAt.keys()) {
        sentAt.delete(asked)
        if (asked === readNumber(frame)) break
      }
      heardAtMs = clock.nowMs()
      samples.push(heardAtMs - sent)
      if (samples.length > SAMPLES) samples.shift()
      leastMs = Math.min(...samples)
    },
  }
}
