/** Reads a body within bounds of size, time and memory. Bytes over the bounds are dropped. */
import { AppError, invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { concatBytes } from 'viem'
import { BODY_ROOM, type BodyHold } from './body-room.ts'
import { timerOf, type AppContext } from './context.ts'
import type { RequestTimer } from '#p2p/stream/request-timer.ts'
import { parseJson } from '#worker/body/parse-json.ts'

/** Time for a whole request body. */
export const BODY_MS = 60_000
/** Longest pause between two parts of a request body. */
export const BODY_STALL_MS = 10_000
invariant(BODY_STALL_MS <= BODY_MS, 'A body can stall before its time ends.')

/** @throws {AppError} like `readBytes`, and invalid_request for invalid JSON */
export async function readJson(
  c: AppContext,
  limitBytes: number = LIMITS.requestBodyBytes,
): Promise<unknown> {
  return parseJson(await readBytes(c, limitBytes))
}

/** @throws {AppError} too_large, request_timeout, rate_limited, unsupported_media_type, invalid_request for a broken body */
export async function readBytes(
  c: AppContext,
  limitBytes: number = LIMITS.requestBodyBytes,
): Promise<Uint8Array> {
  const { body } = c.req.raw
  checkCoding(c)
  if (body === null) return new Uint8Array()
  checkType(c)
  const declared = Number(c.req.header('content-length') ?? 0)
  if (!(declared <= limitBytes * DRAINED_TIMES)) throw tooLarge(declared, limitBytes)
  const sender = { keyId: c.get('caller')?.keyId, address: c.get('address') ?? '' }
  const hold = c.get('isolate').bodies.open(sender)
  try {
    if (declared > 0 && declared <= Math.min(limitBytes, SMALL_BYTES))
      return withinBound(await readSmall(c), declared)
    return await collect(body, { limitBytes, declared, hold, timer: timerOf(c) })
  } finally {
    hold.release()
  }
}

/** A body of at most this declared size is read by one call of the runtime. {@link BODY_ROOM} counts as much for each. */
const SMALL_BYTES: number = BODY_ROOM.leastBytes

/** HTTP ends a body at its declared size. @throws {AppError} too_large for a runtime that does not */
function withinBound(bytes: Uint8Array, declared: number): Uint8Array {
  if (bytes.length > declared) throw tooLarge(bytes.length, declared)
  return bytes
}

/** @throws {AppError} request_timeout unless the whole body comes within the time of one pause, invalid_request */
async function readSmall(c: AppContext): Promise<Uint8Array> {
  const late = Promise.withResolvers<never>()
  const stop = timerOf(c).start(BODY_STALL_MS, () => late.reject(tooSlow(BODY_STALL_MS)))
  try {
    return new Uint8Array(await Promise.race([c.req.raw.arrayBuffer(), late.promise]))
  } catch (error) {
    throw brokenBody(error)
  } finally {
    stop()
  }
}

/** Bodies up to this many times the bound are read and dropped before they are refused. */
const DRAINED_TIMES = 4

interface Bounds {
  readonly limitBytes: number
  readonly declared: number
  readonly hold: BodyHold
  readonly timer: RequestTimer
}

async function collect(
  body: ReadableStream<Uint8Array>,
  { limitBytes, declared, hold, timer }: Bounds,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  // If refused before everything is sent, most clients would see a broken connection.
  for await (const chunk of inTime(body, timer)) {
    size += chunk.length
    if (size > limitBytes * DRAINED_TIMES) break
    if (declared > limitBytes || size > limitBytes) continue
    hold.take(chunk.length)
    chunks.push(chunk)
  }
  if (size > limitBytes || declared > limitBytes) {
    throw tooLarge(Math.max(size, declared), limitBytes)
  }
  return concatBytes(chunks)
}

/** Yields the chunks while they keep coming. @throws {AppError} request_timeout, invalid_request */
async function* inTime(
  body: ReadableStream<Uint8Array>,
  timer: RequestTimer,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  const pace = watchPace(timer)
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), pace.late])
      if (read.done) return
      pace.heard()
      yield read.value
    }
  } catch (error) {
    throw brokenBody(error)
  } finally {
    pace.stop()
    // Not awaited: cancelling a broken body may never end.
    reader.cancel().catch(() => {})
  }
}

/** Watches a body with one timer, however many parts it has. `late` rejects when it takes or pauses too long. */
function watchPace(timer: RequestTimer) {
  const late = Promise.withResolvers<never>()
  const untilMs = performance.now() + BODY_MS
  let heardMs = performance.now()
  const dueMs = () => Math.min(heardMs + BODY_STALL_MS, untilMs) - performance.now()
  const look = () => {
    const leftMs = dueMs()
    if (leftMs > 0) stop = timer.start(leftMs, look)
    else late.reject(tooSlow())
  }
  let stop = timer.start(dueMs(), look)
  return {
    late: late.promise,
    heard: () => void (heardMs = performance.now()),
    stop: () => stop(),
  }
}

function tooSlow(wholeMs: number = BODY_MS): AppError {
  const detail = `The body did not arrive within ${wholeMs} ms, or paused for ${BODY_STALL_MS} ms.`
  return new AppError('request_timeout', detail)
}

function brokenBody(error: unknown): AppError {
  if (error instanceof AppError) return error
  const detail = 'The body broke off, or its chunks are malformed.'
  return new AppError('invalid_request', detail, { cause: error })
}

/** The one supported character set, as types name it. ASCII is a subset. */
const CHARSET = /;\s*charset\s*=\s*"?([^";,\s]*)/gi
const UTF_8 = /^(?:utf-?8|us-ascii|ascii)?$/i

/** @throws {AppError} unsupported_media_type, with the header that names what is accepted (RFC 9110, 15.5.16) */
function checkCoding(c: AppContext): void {
  const type = c.req.header('content-type') ?? ''
  for (const [, charset = ''] of type.includes(';') ? type.matchAll(CHARSET) : []) {
    if (UTF_8.test(charset)) continue
    const detail = `The body has the character set "${charset.slice(0, 40)}"; send it in UTF-8.`
    throw new AppError('unsupported_media_type', detail)
  }
  const coding = c.req.header('content-encoding')?.trim().toLowerCase() ?? ''
  if (coding === '' || coding === 'identity') return
  c.var.answerHeaders.set('accept-encoding', 'identity')
  const detail = `The body has the content coding "${coding.slice(0, 40)}"; send it without one.`
  throw new AppError('unsupported_media_type', detail)
}

/**
 * Accepted types: JSON, bytes, none, and the default of `curl -d`. Bodies of other declared types
 * are not read as JSON.
 */
const TAKEN = /^(?:application\/(?:json|[\w.+-]+\+json|octet-stream|x-www-form-urlencoded))?$/

/** @throws {AppError} unsupported_media_type */
function checkType(c: AppContext): void {
  const type = (c.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (TAKEN.test(type)) return
  const detail = `The body's type is "${type.slice(0, 64)}"; send JSON as "content-type: application/json".`
  throw new AppError('unsupported_media_type', detail)
}

function tooLarge(sizeBytes: number, limitBytes: number): AppError {
  return new AppError(
    'too_large',
    `The body is at least ${sizeBytes} bytes; at most ${limitBytes} are accepted.`,
  )
}
