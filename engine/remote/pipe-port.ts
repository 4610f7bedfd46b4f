/** Carries messages over a pipe between two processes. What one tick sends leaves in one write. */
import {
  createMessageDecoder,
  encodeMessage,
  type FrameKinds,
  type Message,
} from './pipe-frames.ts'

/** The part of a Node stream that is written to. */
export interface ByteSink {
  readonly writable: boolean
  cork(): void
  write(chunk: Uint8Array): unknown
  uncork(): void
}

export interface PipePortOptions<Sent extends Message, Heard extends Message> {
  readonly sink: ByteSink
  readonly kinds: { readonly sent: FrameKinds<Sent>; readonly heard: FrameKinds<Heard> }
  readonly onMessage: (message: Heard) => void
  /** Calls `flush` once this tick's work is done. */
  readonly soon: (flush: () => void) => void
}

export function createPipePort<Sent extends Message, Heard extends Message>({
  sink,
  kinds,
  onMessage,
  soon,
}: PipePortOptions<Sent, Heard>) {
  const decoder = createMessageDecoder(kinds.heard)
  let unsent: Uint8Array[] = []
  const flush = () => {
    const chunks = unsent
    unsent = []
    if (chunks.length === 0 || !sink.writable) return
    sink.cork()
    for (const chunk of chunks) sink.write(chunk)
    sink.uncork()
  }
  return {
    /** Bytes over `COPIED_BYTES` must not change until the other side has taken them. @throws {AppError} too_large */
    say: (message: Sent) => {
      const chunks = encodeMessage(kinds.sent, message)
      if (unsent.length === 0) soon(flush)
      unsent.push(...chunks)
    },
    /** Writes now what has gathered, before work that would block this thread. */
    flush,
    /** @throws {AppError} internal, too_large when the other side breaks the form; then end its process */
    hear: (chunk: Uint8Array) => decoder.push(chunk, onMessage),
  }
}
