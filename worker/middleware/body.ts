/** Reads a JSON body within its bound: the declared length before anything, the real length while it comes in. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'

/** @throws {AppError} too_large, invalid_request for what is not JSON */
export async function readJson(
  request: Request,
  limitBytes: number = LIMITS.requestBodyBytes,
): Promise<unknown> {
  const bytes = await readBytes(request, limitBytes)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `The body is not JSON in UTF-8: ${detail}.`, { cause })
  }
}

async function readBytes(request: Request, limitBytes: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > limitBytes) throw tooLarge(declared, limitBytes)
  if (request.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limitBytes) throw tooLarge(size, limitBytes)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

function tooLarge(sizeBytes: number, limitBytes: number): AppError {
  return new AppError(
    'too_large',
    `The body is at least ${sizeBytes} bytes; at most ${limitBytes} are taken.`,
  )
}
