/** Model files from `/models/<sha256>`: counted as they come, checked against their hash, kept in this browser. */
import { AppError } from '#shared/errors.ts'
import type { ModelFile } from '#shared/model.ts'

export interface ModelFilesOptions {
  readonly origin: string
  readonly fetch: typeof fetch
  readonly cache: Pick<Cache, 'match' | 'put' | 'delete'>
  /** Takes the size of each piece that arrived. */
  readonly onBytes: (sizeBytes: number) => void
}

/** @throws {AppError} from the returned function: no_capacity when the file cannot be had, internal when it is another one */
export function createModelFiles(
  options: ModelFilesOptions,
): (file: ModelFile, signal: AbortSignal) => Promise<Uint8Array<ArrayBuffer>> {
  const { origin, cache, onBytes } = options
  return async (file, signal) => {
    const url = `${origin}/models/${file.sha256}`
    const kept = await cache.match(url)
    const response = kept ?? (await fetchFile(url, file, { ...options, signal }))
    const bytes = await readExactly(response, file, onBytes)
    if ((await sha256(bytes)) !== file.sha256) {
      await cache.delete(url)
      throw new AppError('internal', `${file.name} is not the file that its manifest names.`)
    }
    // A browser that has no room fetches it again next time.
    if (kept === undefined) await cache.put(url, new Response(bytes)).catch(() => {})
    return bytes
  }
}

async function fetchFile(
  url: string,
  file: ModelFile,
  { fetch, signal }: Pick<ModelFilesOptions, 'fetch'> & { readonly signal: AbortSignal },
): Promise<Response> {
  const response = await fetch(url, { signal }).catch((cause: unknown) => {
    throw new AppError('no_capacity', `${file.name} could not be fetched.`, { cause })
  })
  if (response.ok) return response
  throw new AppError('no_capacity', `${file.name} answered HTTP status ${response.status}.`)
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return digest.reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '0x')
}

async function readExactly(
  response: Response,
  file: ModelFile,
  onBytes: (sizeBytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(file.sizeBytes)
  let offset = 0
  const reader = response.body?.getReader()
  if (reader === undefined) throw new AppError('no_capacity', `${file.name} came empty.`)
  for (;;) {
    const { value: piece, done } = await reader.read()
    if (done) break
    if (offset + piece.length > bytes.length)
      throw new AppError('internal', `${file.name} is longer than its manifest says.`)
    bytes.set(piece, offset)
    offset += piece.length
    onBytes(piece.length)
  }
  if (offset === bytes.length) return bytes
  throw new AppError('internal', `${file.name} is shorter than its manifest says.`)
}
