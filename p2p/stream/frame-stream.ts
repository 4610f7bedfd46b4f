/** Frames over one libp2p stream: decoding, back-pressure and the single end of a stream. */
import type { Stream } from '@libp2p/interface'
import { createFrameCoalescer } from './frame-coalescer.ts'
import { holdSmallWindowUpdates } from './window-updates.ts'
import type { Uint8ArrayList } from 'uint8arraylist'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { createFrameDecoder, encodeHeader, type Frame } from './frames.ts'
import { errorFrame } from './wire-error.ts'

export const STREAM_CLOSE_MS = 1_000

export interface FrameStreamHandlers {
  /** Takes each frame in order; a throw ends the stream with that error. */
  onFrame(frame: Frame): void
}

export type FrameStream = ReturnType<typeof createFrameStream>

/** Takes over the stream: nobody else may read, write or close it. */
export function createFrameStream(stream: Stream, handlers: FrameStreamHandlers) {
  const decoder = createFrameDecoder()
  const { promise: ended, resolve } = Promise.withResolvers<AppError | undefined>()
  let open = true
  const outgoing = createFrameCoalescer(stream, (error) => drop(stream, error))
  let reason: AppError | undefined
  let drained: PromiseWithResolvers<void> | undefined

  const wakeWriters = () => {
    drained?.resolve()
    drained = undefined
  }
  const finish = () => {
    open = false
    wakeWriters()
    stream.removeEventListener('message', onMessage)
    resolve(reason)
  }
  const send = (frame: Frame) => {
    if (open) outgoing.push(encodeHeader(frame), frame.body)
  }
  const fail = (error: unknown) => {
    if (!open) return
    reason = toAppError(error)
    send(errorFrame(0, reason))
    outgoing.flush()
    drop(stream, reason)
    finish()
  }
  const close = async () => {
    if (!open) return
    outgoing.flush()
    open = false
    wakeWriters()
    try {
      await stream.close({ signal: AbortSignal.timeout(STREAM_CLOSE_MS) })
    } catch (error) {
      drop(stream, error)
    }
    finish()
  }
  const onMessage = (event: { data: Uint8Array | Uint8ArrayList }) => {
    try {
      for (const chunk of event.data instanceof Uint8Array ? [event.data] : event.data)
        decoder.push(chunk, (frame) => {
          if (open) handlers.onFrame(frame)
        })
    } catch (error) {
      fail(error)
    }
  }

  holdSmallWindowUpdates(stream)
  stream.addEventListener('message', onMessage)
  stream.addEventListener('drain', wakeWriters)
  stream.addEventListener('remoteCloseWrite', () => void close())
  stream.addEventListener('close', (event) => {
    if (event.error !== undefined && reason === undefined && open)
      reason = new AppError('node_lost', 'The work stream broke.', { cause: event.error })
    finish()
  })
  if (stream.status !== 'open') finish()

  return {
    /** Resolves once: with the error that ended the stream, or undefined after an orderly close. */
    ended,
    isOpen: () => open,
    /**
     * Sends now, or queues in the stream; does nothing after the end. Before data, await `writable`.
     * @throws {AppError} too_large for a body over the bound of its kind; nothing was sent
     */
    send,
    /** Closes in order: what was sent still arrives. */
    close,
    /** Sends the error to the peer and drops the stream. */
    fail,
    /** Resolves when the stream takes more bytes, or has ended. */
    async writable() {
      // Not stream.onDrain(): its promise stays resolved after the first drain, so a second wait would spin.
      while (open && stream.writableNeedsDrain) {
        drained ??= Promise.withResolvers()
        await drained.promise
      }
    },
  }
}

function drop(stream: Stream, error: unknown): void {
  stream.abort(error instanceof Error ? error : new Error(String(error)))
}
