/**
 * The messages of an engine as frames of a byte stream: `u32 body length, u8 kind, u32 number, body`, big-endian. The
 * body is `u32 length, JSON` of the message without its bytes, and then those bytes as they are. Pure.
 */
import { AppError, invariant } from '#shared/base/errors.ts'
import { UNTAKEN_BYTES } from './messages.ts'

/** How the messages of one type are framed. */
export interface FrameKind {
  readonly code: number
  /** Size of a body, at most. */
  readonly mostBytes: number
  /** The member with the message's number. @default none; the frame has 0 */
  readonly number?: 'job' | 'call'
  /** The member with bytes, which are not encoded. @default none */
  readonly bytes?: 'payload' | 'bytes'
}

export interface Message {
  readonly type: string
}

/** One kind for each type of message; the codes of a direction are different. */
export type FrameKinds<M extends Message> = Readonly<Record<M['type'], FrameKind>>

type Members = Readonly<Record<string, unknown>>

const HEADER_BYTES = 9
const LENGTH_BYTES = 4
/** Bytes up to this size are copied behind their JSON; larger ones are a chunk of their own. */
export const COPIED_BYTES = 16 * 1024
invariant(
  UNTAKEN_BYTES <= COPIED_BYTES,
  'An engine waits for the reader of bytes that are not copied.',
)

const NOTHING = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Encodes one message as one or two chunks. The second one is the message's own bytes, not a copy.
 * @throws {AppError} too_large for a body over the bound of its kind
 */
export function encodeMessage<M extends Message>(kinds: FrameKinds<M>, message: M): Uint8Array[] {
  const kind = kinds[message.type as M['type']]
  const { type: _type, job, call, payload, bytes, ...members } = message as M & Members
  const raw = ((kind.bytes === 'payload' ? payload : bytes) ?? NOTHING) as Uint8Array
  const json = encoder.encode(JSON.stringify(members))
  const bodyBytes = LENGTH_BYTES + json.length + raw.length
  checkLength(message.type, kind, bodyBytes)
  const isCopied = raw.length <= COPIED_BYTES
  const jsonEnd = HEADER_BYTES + LENGTH_BYTES + json.length
  const frame = new Uint8Array(jsonEnd + (isCopied ? raw.length : 0))
  const view = new DataView(frame.buffer)
  view.setUint32(0, bodyBytes)
  view.setUint8(4, kind.code)
  view.setUint32(5, Number(job ?? call ?? 0))
  view.setUint32(HEADER_BYTES, json.length)
  frame.set(json, HEADER_BYTES + LENGTH_BYTES)
  if (!isCopied) return [frame, raw]
  frame.set(raw, jsonEnd)
  return [frame]
}

interface Begun {
  readonly type: string
  readonly kind: FrameKind
  readonly number: number
  readonly body: Uint8Array
}

/**
 * Puts messages together from a stream, however it is cut. The two ends are of one build, so only the frames are
 * checked. After a throw the decoder is unusable: the borders are lost.
 */
export function createMessageDecoder<M extends Message>(kinds: FrameKinds<M>) {
  const byCode = new Map(
    Object.entries<FrameKind>(kinds).map(([type, kind]) => [kind.code, { type, kind }]),
  )
  const header = new Uint8Array(HEADER_BYTES)
  let begun: Begun | undefined
  /** Bytes of the header, or of the body once it has begun. */
  let filled = 0
  const begin = (): Begun => {
    const view = new DataView(header.buffer)
    const [lengthBytes, code] = [view.getUint32(0), view.getUint8(4)]
    const known = byCode.get(code)
    if (known === undefined) throw broken(`there is no kind ${code}`)
    if (lengthBytes < LENGTH_BYTES) throw broken(`a ${known.type} message is too short`)
    checkLength(known.type, known.kind, lengthBytes)
    return { ...known, number: view.getUint32(5), body: new Uint8Array(lengthBytes) }
  }
  /** Takes as much as is missing. @returns bytes taken */
  const fill = (into: Uint8Array, chunk: Uint8Array): number => {
    const piece = chunk.subarray(0, into.length - filled)
    into.set(piece, filled)
    filled += piece.length
    return piece.length
  }
  return {
    /** @throws {AppError} internal for what is no frame, too_large */
    push(chunk: Uint8Array, onMessage: (message: M) => void) {
      for (let at = 0; at < chunk.length;) {
        const into = begun?.body ?? header
        at += fill(into, chunk.subarray(at))
        if (filled < into.length) return
        filled = 0
        if (begun === undefined) {
          begun = begin()
          continue
        }
        const message = readMessage(begun) as unknown as M
        begun = undefined
        onMessage(message)
      }
    },
  }
}

function readMessage({ type, kind, number, body }: Begun): Message & Members {
  const end = LENGTH_BYTES + new DataView(body.buffer).getUint32(0)
  if (end > body.length || (kind.bytes === undefined && end < body.length))
    throw broken(`the parts of a ${type} message do not fit its frame`)
  return {
    ...readMembers(type, body.subarray(LENGTH_BYTES, end)),
    type,
    ...(kind.number === undefined ? {} : { [kind.number]: number }),
    ...(kind.bytes === undefined ? {} : { [kind.bytes]: body.subarray(end) }),
  }
}

function readMembers(type: string, json: Uint8Array): Members {
  try {
    return JSON.parse(decoder.decode(json)) as Members
  } catch (cause) {
    throw broken(`a ${type} message is not JSON`, cause)
  }
}

function checkLength(type: string, { mostBytes }: FrameKind, lengthBytes: number): void {
  if (lengthBytes <= mostBytes) return
  const detail = `A ${type} message of ${lengthBytes} bytes is over the ${mostBytes} allowed.`
  throw new AppError('too_large', detail)
}

function broken(why: string, cause?: unknown): AppError {
  return new AppError('internal', `The engine's pipe is broken: ${why}.`, { cause })
}
