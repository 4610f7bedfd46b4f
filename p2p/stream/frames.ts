/** The work stream's codec: `u32 body length u8 kind u32 job number body`, big-endian. Pure. */
import { AppError } from '#shared/base/errors.ts'
import { KIB } from '#shared/base/limits.ts'
import type { Schema } from '#shared/base/quick-check.ts'

/** Payload of one data frame. */
export const FRAME_BYTES = 256 * KIB
/** Size of one control frame. */
export const CONTROL_FRAME_BYTES = 512 * KIB

/** libp2p protocol id of the held stream that a hub opens to each of its nodes. */
export const WORK_PROTOCOL = '/littoral/work/1.0.0'

export const HEADER_BYTES = 9

/**
 * Body size of each kind: at most, or exactly. The body is JSON of a schema in `messages.ts`, or raw for `data`. All
 * that a schema allows fits; the bound limits the cost of parsing junk.
 */
const KINDS = {
  hello: { code: 1, most: 32 * KIB },
  welcome: { code: 2, most: 32 * KIB },
  ping: { code: 3, exactly: 4 },
  pong: { code: 4, exactly: 4 },
  job: { code: 5, most: CONTROL_FRAME_BYTES },
  data: { code: 6, most: FRAME_BYTES },
  end: { code: 7, exactly: 0 },
  result: { code: 8, most: 32 * KIB },
  error: { code: 9, most: 96 * KIB },
  cancel: { code: 10, most: KIB },
  credit: { code: 11, exactly: 4 },
  receipt: { code: 12, most: 64 * KIB },
  ack: { code: 13, most: 32 * KIB },
  load: { code: 14, most: 32 * KIB },
  loaded: { code: 15, most: 128 * KIB },
  echo: { code: 16, exactly: 32 },
  echoed: { code: 17, exactly: 96 },
  standing: { code: 18, most: 64 * KIB },
} as const satisfies Record<string, { code: number } & ({ most: number } | { exactly: number })>

export type FrameKind = keyof typeof KINDS

export function longestBody(kind: FrameKind): number {
  const rule = KINDS[kind]
  return 'most' in rule ? rule.most : rule.exactly
}

const KIND_BY_CODE = new Map<number, FrameKind>(
  (Object.keys(KINDS) as FrameKind[]).map((kind) => [KINDS[kind].code, kind]),
)

export interface Frame {
  readonly kind: FrameKind
  /** The hub's number for the job on this stream; 0 means the stream itself. */
  readonly job: number
  readonly body: Uint8Array
}

const EMPTY = new Uint8Array(0)

/** Longest part of a fault that quotes the peer. */
const FAULT_CHARS = 256

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function bareFrame(kind: 'end', job: number): Frame {
  return { kind, job, body: EMPTY }
}

export function jsonFrame(kind: FrameKind, job: number, value: unknown): Frame {
  return { kind, job, body: ENCODER.encode(JSON.stringify(value)) }
}

export function bytesFrame(kind: 'echo' | 'echoed', body: Uint8Array): Frame {
  return { kind, job: 0, body }
}

/** Makes a frame with one u32: granted bytes, or the nonce of a ping. */
export function numberFrame(kind: 'credit' | 'ping' | 'pong', job: number, value: number): Frame {
  const body = new Uint8Array(4)
  new DataView(body.buffer).setUint32(0, value)
  return { kind, job, body }
}

export function readNumber(frame: Frame): number {
  return viewOf(frame.body).getUint32(0)
}

/** @throws {AppError} invalid_request when the body is not JSON or does not fit the schema */
export function readJson<T>(schema: Schema<T>, frame: Frame): T {
  let value: unknown
  try {
    value = JSON.parse(DECODER.decode(frame.body))
  } catch (cause) {
    throw new AppError('invalid_request', `The ${frame.kind} frame is not JSON.`, { cause })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.slice(0, 8).map(({ path, message }) => ({
    pointer: `/${path.join('/')}`.slice(0, FAULT_CHARS),
    detail: message.slice(0, FAULT_CHARS),
  }))
  const [first] = errors
  throw new AppError(
    'invalid_request',
    `The ${frame.kind} frame does not fit its schema at ${first?.pointer}: ${first?.detail}.`,
    { meta: { errors } },
  )
}

/** Encodes the nine bytes before a body. @throws {AppError} too_large when the body is over the bound of its kind */
export function encodeHeader({ kind, job, body }: Frame): Uint8Array {
  checkLength(kind, body.byteLength)
  const header = new Uint8Array(HEADER_BYTES)
  const view = new DataView(header.buffer)
  view.setUint32(0, body.byteLength)
  view.setUint8(4, KINDS[kind].code)
  view.setUint32(5, job)
  return header
}

export function encodeFrame(frame: Frame): Uint8Array {
  const header = encodeHeader(frame)
  const bytes = new Uint8Array(HEADER_BYTES + frame.body.byteLength)
  bytes.set(header)
  bytes.set(frame.body, HEADER_BYTES)
  return bytes
}

interface Begun {
  readonly kind: FrameKind
  readonly job: number
  readonly lengthBytes: number
}

export function createFrameDecoder() {
  const header = new Uint8Array(HEADER_BYTES)
  let headerBytes = 0
  let begun: Begun | undefined
  let body = EMPTY
  let bodyBytes = 0

  /** Grows with the bytes that have arrived, so a declared length alone costs no memory. */
  const reserve = (wanted: number, lengthBytes: number) => {
    if (wanted <= body.byteLength) return
    const grown = new Uint8Array(Math.min(lengthBytes, Math.max(wanted, body.byteLength * 2)))
    grown.set(body.subarray(0, bodyBytes))
    body = grown
  }

  return {
    pendingBytes: () => headerBytes + bodyBytes,
    /**
     * Takes the next bytes, however they were cut, and hands over each frame they complete. Bodies are copies. After a
     * throw the decoder is unusable: the frame borders are lost.
     * @throws {AppError} invalid_request, too_large
     */
    push(chunk: Uint8Array, onFrame: (frame: Frame) => void) {
      let offset = 0
      while (offset < chunk.byteLength) {
        if (begun === undefined) {
          const piece = chunk.subarray(offset, offset + HEADER_BYTES - headerBytes)
          header.set(piece, headerBytes)
          headerBytes += piece.byteLength
          offset += piece.byteLength
          if (headerBytes < HEADER_BYTES) return
          begun = readHeader(header)
        }
        const piece = chunk.subarray(offset, offset + begun.lengthBytes - bodyBytes)
        reserve(bodyBytes + piece.byteLength, begun.lengthBytes)
        body.set(piece, bodyBytes)
        bodyBytes += piece.byteLength
        offset += piece.byteLength
        if (bodyBytes < begun.lengthBytes) return
        const frame = { kind: begun.kind, job: begun.job, body }
        begun = undefined
        headerBytes = bodyBytes = 0
        body = EMPTY
        onFrame(frame)
      }
    },
  }
}

function readHeader(header: Uint8Array): Begun {
  const view = viewOf(header)
  const code = view.getUint8(4)
  const kind = KIND_BY_CODE.get(code)
  if (kind === undefined) throw new AppError('invalid_request', `Unknown frame kind ${code}.`)
  const lengthBytes = view.getUint32(0)
  checkLength(kind, lengthBytes)
  return { kind, job: view.getUint32(5), lengthBytes }
}

function checkLength(kind: FrameKind, lengthBytes: number): void {
  const rule = KINDS[kind]
  if ('exactly' in rule) {
    if (lengthBytes === rule.exactly) return
    throw new AppError(
      'invalid_request',
      `A ${kind} frame has a body of ${rule.exactly} bytes, not ${lengthBytes}.`,
    )
  }
  if (lengthBytes <= rule.most) return
  throw new AppError(
    'too_large',
    `A ${kind} frame of ${lengthBytes} bytes is over the ${rule.most} allowed.`,
  )
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
