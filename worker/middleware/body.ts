/** Reads a JSON body within its bound; what is over it is never kept, let alone parsed. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { concatBytes } from 'viem'

/** @throws {AppError} too_large, invalid_request for what is not JSON */
export async function readJson(
  request: Request,
  limitBytes: number = LIMITS.requestBodyBytes,
): Promise<unknown> {
  return parseJson(await readBytes(request, limitBytes))
}

/** @throws {AppError} invalid_request for what is not JSON in UTF-8 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `The body is not JSON in UTF-8: ${detail}.`, { cause })
  }
}

/** Bodies up to this many times the bound are read to their end and dropped before they are refused. */
const DRAINED_TIMES = 4

/** @throws {AppError} too_large */
export async function readBytes(
  request: Request,
  limitBytes: number = LIMITS.requestBodyBytes,
): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (request.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  // A refusal before the client has sent everything would reach most clients as a broken connection.
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limitBytes * DRAINED_TIMES) break
    if (declared <= limitBytes && size <= limitBytes) chunks.push(chunk)
  }
  if (size > limitBytes || declared > limitBytes) {
    throw tooLarge(Math.max(size, declared), limitBytes)
  }
  return concatBytes(chunks)
}

function tooLarge(sizeBytes: number, limitBytes: number): AppError {
  return new AppError(
    'too_large',
    `The body is at least ${sizeBytes} bytes; at most ${limitBytes} are taken.`,
  )
}
