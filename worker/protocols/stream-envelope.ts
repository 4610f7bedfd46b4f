/** A streamed answer between Hub and Worker, in frames of `u8 kind | u32 length | body`: head, data …, then outcome or error. */
import { concatBytes } from 'viem'
import { systemClock } from '#p2p/stream/clock.ts'
import { createIdleTimer } from '#p2p/stream/idle-timer.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { DispatchHead, DispatchOutcome } from './hub.ts'
import { packRefusal, readRefusal } from './steering.ts'

/** Time for which one part of a streamed answer may wait for its reader. */
const STREAM_STALL_MS = 30_000

/** Takes an answer's bytes while the node still computes. */
export interface AnswerSink {
  /** Called once, before the first bytes. From then on no other node can take over the job. */
  begin(head: DispatchHead): void
  /** Resolves when the reader has room for more. @throws when the reader has left */
  push(bytes: Uint8Array): Promise<void>
}

export interface StreamedAnswer {
  readonly head: DispatchHead
  /** Ends, or throws the same error as `outcome`. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Settles once `chunks` is read to its end. @throws {AppError} the job's error */
  readonly outcome: Promise<DispatchOutcome>
}

const KINDS = { head: 1, data: 2, outcome: 3, error: 4 } as const
const HEADER_BYTES = 5

/**
 * Runs a job into a streamed response. A failure before the first byte rejects, as it would without a stream.
 * @throws {AppError} the error of `run`, if it fails before it calls `begin`
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
    // No effect once the stream has begun: the error is then sent in the stream.
    begun.reject(error)
    last = frame(KINDS.error, json(packRefusal(error)))
  }
  // These fail when the reader has left.
  await writer.write(last).catch(() => {})
  await writer.close().catch(() => {})
}

/**
 * @param stallMs how long a chunk may wait for the reader. Then the rest is read without it, so that the job's cost is known
 * @throws {AppError} node_lost when the stream has no head, or the hub's error
 */
export async function readStream(
  body: ReadableStream<Uint8Array>,
  stallMs: number = STREAM_STALL_MS,
): Promise<StreamedAnswer> {
  const frames = readFrames(body)
  const first = await frames.next()
  if (first.done === true || first.value.kind !== KINDS.head) throw lost()
  const outcome = Promise.withResolvers<DispatchOutcome>()
  // A reader of the chunks sees the failure there.
  outcome.promise.catch(() => {})
  const stall = createStall(
    { next: () => nextChunk(frames, outcome), leave: () => void frames.return(undefined) },
    stallMs,
  )
  return {
    head: DispatchHead.parse(parse(first.value.body)),
    chunks: readChunks(stall, outcome),
    outcome: outcome.promise,
  }
}

interface StreamFrame {
  readonly kind: number
  readonly body: Uint8Array
}

/** @returns undefined at the end. Settles `outcome` at the end or with the thrown error */
async function nextChunk(
  frames: AsyncGenerator<StreamFrame>,
  outcome: PromiseWithResolvers<DispatchOutcome>,
): Promise<Uint8Array | undefined> {
  try {
    const next = await frames.next()
    if (next.done === true) throw lost()
    const { kind, body } = next.value
    if (kind === KINDS.data) return body
    if (kind === KINDS.error) throw readRefusal(parse(body))
    if (kind !== KINDS.outcome) throw lost()
    outcome.resolve(DispatchOutcome.parse(parse(body)))
    return undefined
  } catch (error) {
    const known = errorCode(error) === undefined ? lost(error) : error
    outcome.reject(known)
    throw known
  }
}

interface Stall {
  /** The next chunk. @throws {AppError} cancelled when the reader let a chunk wait too long */
  next(): Promise<Uint8Array | undefined>
  /** Called when the reader leaves. @returns whether the rest is being read without it */
  end(): boolean
}

/** Reads on in place of a reader that has stopped reading without leaving. */
function createStall(
  { next, leave }: { next: () => Promise<Uint8Array | undefined>; leave: () => void },
  stallMs: number,
): Stall {
  let isOver = false
  const readOn = async () => {
    isOver = true
    try {
      while ((await next()) !== undefined);
    } catch {
      // The outcome has the error.
    }
  }
  const timer = createIdleTimer(stallMs, () => void readOn(), systemClock)
  timer.start()
  return {
    end() {
      timer.stop()
      if (!isOver) leave()
      return isOver
    },
    async next() {
      timer.pause()
      if (isOver)
        throw new AppError('cancelled', `The answer was unread for ${stallMs} ms and was dropped.`)
      const chunk = await next()
      if (chunk !== undefined) timer.start()
      return chunk
    },
  }
}

async function* readChunks(
  stall: Stall,
  outcome: PromiseWithResolvers<DispatchOutcome>,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = await stall.next()
      if (chunk === undefined) return
      yield chunk
    }
  } finally {
    if (!stall.end()) outcome.reject(new AppError('cancelled', 'The reader left before the end.'))
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

function lost(cause?: unknown): AppError {
  return new AppError('node_lost', 'The answer was lost on its way.', { cause })
}
