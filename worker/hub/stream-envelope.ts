/** A streamed answer between Hub and Worker: `u8 kind | u32 length | body` frames; head, data …, then outcome or error. */
import { concatBytes } from 'viem'
import { AppError, errorCode, toWireError, type WireError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { DispatchHead, DispatchOutcome } from './protocol.ts'

/** Where a hub puts an answer's bytes while a node still computes. */
export interface AnswerSink {
  /** Once, before the first bytes: from then on no other node can take the job over. */
  begin(head: DispatchHead): void
  /** Resolves when the reader has room for more; throws when it has gone. */
  push(bytes: Uint8Array): Promise<void>
}

export interface StreamedAnswer {
  readonly head: DispatchHead
  /** Ends without a fault or throws what `outcome` rejects with. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Settles once `chunks` has been read to its end. @throws {AppError} what the job failed with */
  readonly outcome: Promise<DispatchOutcome>
}

const KINDS = { head: 1, data: 2, outcome: 3, error: 4 } as const
const HEADER_BYTES = 5

/**
 * Runs a job into a streamed response. What fails before the first byte rejects, as it would without a stream.
 * @throws {AppError} what `run` throws before it has begun
 */
export async function writeStream(
  run: (sink: AnswerSink) => Promise<DispatchOutcome>,
): Promise<Response> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const begun = Promise.withResolvers<void>()
  const outcome = run({
    begin(head) {
      void writer.write(frame(KINDS.head, json(head))).catch(() => {})
      begun.resolve()
    },
    push: (bytes) => writer.write(frame(KINDS.data, bytes)),
  })
  void endStream(outcome, writer, begun)
  await begun.promise
  return new Response(readable)
}

async function endStream(
  outcome: Promise<DispatchOutcome>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  begun: PromiseWithResolvers<void>,
): Promise<void> {
  let last: Uint8Array
  try {
    last = frame(KINDS.outcome, json(await outcome))
  } catch (error) {
    // Nothing happens when the stream has begun: the error then travels in it.
    begun.reject(error)
    last = frame(KINDS.error, json(toWireError(error)))
  }
  // The reader may be gone; then nobody is left to be told.
  await writer.write(last).catch(() => {})
  await writer.close().catch(() => {})
}

/** @throws {AppError} node_lost when the stream does not begin as one, or the hub's error */
export async function readStream(body: ReadableStream<Uint8Array>): Promise<StreamedAnswer> {
  const frames = readFrames(body)
  const first = await frames.next()
  if (first.done === true || first.value.kind !== KINDS.head) throw lost()
  const outcome = Promise.withResolvers<DispatchOutcome>()
  // Whoever reads the chunks to their end sees the failure there too.
  outcome.promise.catch(() => {})
  return {
    head: DispatchHead.parse(parse(first.value.body)),
    chunks: readChunks(frames, outcome),
    outcome: outcome.promise,
  }
}

interface StreamFrame {
  readonly kind: number
  readonly body: Uint8Array
}

async function* readChunks(
  frames: AsyncGenerator<StreamFrame>,
  outcome: PromiseWithResolvers<DispatchOutcome>,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const { kind, body } of frames) {
      if (kind === KINDS.data) yield body
      else if (kind === KINDS.outcome) {
        outcome.resolve(DispatchOutcome.parse(parse(body)))
        return
      } else if (kind === KINDS.error) throw fromWire(parse(body) as WireError)
      else break
    }
    throw lost()
  } catch (error) {
    const known = errorCode(error) === undefined ? lost(error) : error
    outcome.reject(known)
    throw known
  } finally {
    outcome.reject(new AppError('cancelled', 'The reader left before the end.'))
  }
}

async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamFrame> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    rest = concatBytes([rest, piece])
    let at = 0
    while (rest.length - at >= HEADER_BYTES) {
      const length = new DataView(rest.buffer, rest.byteOffset + at + 1).getUint32(0)
      if (length > LIMITS.jobOutputBytes) throw lost()
      if (rest.length - at < HEADER_BYTES + length) break
      const start = at + HEADER_BYTES
      at = start + length
      yield { kind: rest[start - HEADER_BYTES] ?? 0, body: rest.slice(start, at) }
    }
    rest = rest.slice(at)
  }
  if (rest.length > 0) throw lost()
}

function frame(kind: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  bytes[0] = kind
  new DataView(bytes.buffer).setUint32(1, body.length)
  bytes.set(body, HEADER_BYTES)
  return bytes
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes))
}

function fromWire(wire: WireError): AppError {
  return new AppError(errorCode(wire) ?? 'internal', wire.detail, { meta: wire.meta ?? {} })
}

function lost(cause?: unknown): AppError {
  return new AppError('node_lost', 'The answer was lost on its way.', { cause })
}
