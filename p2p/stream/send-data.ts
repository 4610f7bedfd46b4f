/** Sends bytes as data frames, as fast as the stream and the receiver's credit allow. */
import type { Cancellation } from './cancellation.ts'
import { DATA_CHUNK_BYTES, type SendWindow } from './credit.ts'
import type { FrameStream } from './frame-stream.ts'

export interface DataTarget {
  readonly frames: FrameStream
  readonly job: number
  readonly window: SendWindow
  readonly cancellation: Cancellation
}

/** Rejects with the cancellation's reason. The bytes must not change until it has resolved. */
export async function sendData(target: DataTarget, bytes: Uint8Array): Promise<void> {
  const { frames, job, window, cancellation } = target
  for (let at = 0; at < bytes.byteLength;) {
    await frames.writable()
    const wanted = Math.min(DATA_CHUNK_BYTES, bytes.byteLength - at)
    const taken = await window.take(wanted, cancellation)
    frames.send({ kind: 'data', job, body: bytes.subarray(at, at + taken) })
    at += taken
  }
}
