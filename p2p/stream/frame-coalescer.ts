/** Gathers frames of a few microtasks into one message, since each message costs a cipher call and a write. */
import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

/** Enough for a job's offer, payload and end, which follow each other through a few promises. */
const FLUSH_TURNS = 8
const FLUSH_BYTES = 64 * 1024

/** @param onError gets what the stream throws when it cannot be written */
export function createFrameCoalescer(stream: Stream, onError: (error: unknown) => void) {
  let unsent = new Uint8ArrayList()
  const flush = () => {
    if (unsent.byteLength === 0) return
    const bytes = unsent
    unsent = new Uint8ArrayList()
    if (stream.status !== 'open') return
    try {
      stream.send(bytes)
    } catch (error) {
      onError(error)
    }
  }
  const flushSoon = async () => {
    for (let turn = 0; turn < FLUSH_TURNS; turn += 1) await Promise.resolve()
    flush()
  }
  return {
    push(header: Uint8Array, body: Uint8Array) {
      if (unsent.byteLength === 0) void flushSoon()
      unsent.append(header)
      unsent.append(body)
      if (unsent.byteLength >= FLUSH_BYTES) flush()
    },
    /** Sends what has gathered, or drops it if the stream is no longer open. */
    flush,
  }
}
