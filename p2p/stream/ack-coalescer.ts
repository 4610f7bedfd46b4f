/** Gathers acknowledgements for a node, which leave with the next job or soon after. */
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Clock } from './clock.ts'
import type { FrameStream } from './frame-stream.ts'
import { jsonFrame } from './frames.ts'

/** Acknowledgements wait this long for a job to travel with. */
export const ACK_GATHER_MS = 50

/** Most ids in one ack frame, as in its schema. */
const ACK_IDS = 256

export function createAckCoalescer(frames: FrameStream, clock: Clock) {
  let waiting: Bytes32[] = []
  let stopTimer: (() => void) | undefined
  const drop = () => {
    stopTimer?.()
    stopTimer = undefined
    waiting = []
  }
  const flush = () => {
    const receiptIds = waiting
    drop()
    if (receiptIds.length > 0) frames.send(jsonFrame('ack', 0, { receiptIds }))
  }
  return {
    flush,
    /** Forgets what has gathered, since the stream has ended. The node will offer those receipts again. */
    drop,
    push(ids: readonly Bytes32[]) {
      for (const id of ids) {
        waiting.push(id)
        if (waiting.length >= ACK_IDS) flush()
      }
      if (waiting.length > 0) stopTimer ??= clock.after(ACK_GATHER_MS, flush)
    },
  }
}
