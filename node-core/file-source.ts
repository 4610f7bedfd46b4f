/** A source of a file's bytes from an offset: here HTTP, elsewhere a disk or another node. */
import { AppError } from '#shared/base/errors.ts'
import type { ModelFile } from '#shared/job/model.ts'

export interface FileBody {
  /** Where the bytes begin: the offset asked for, or 0 if the source cannot resume. */
  readonly offset: number
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface FileSource {
  /** For logs and errors: a host, a path or a peer; never a query. */
  readonly name: string
  /** @throws when the source does not have the file, or not now */
  open(file: ModelFile, offset: number, signal: AbortSignal): Promise<FileBody>
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Makes a source of a URL whose server may support ranges (https://www.rfc-editor.org/rfc/rfc9110#section-14). */
export function httpSource(url: string, fetch: Fetch): FileSource {
  const { host, pathname } = new URL(url)
  const name = `${host}${pathname}`
  return {
    name,
    async open(file, offset, signal) {
      const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` }
      const response = await fetch(url, { headers, signal })
      const isPart = response.status === 206
      if (response.status !== 200 && !isPart) {
        await response.body?.cancel()
        throw new AppError('no_capacity', `${name} answered HTTP status ${response.status}.`)
      }
      if (response.body === null) throw new AppError('no_capacity', `${name} answered nothing.`)
      if (isPart) checkRange(response, { name, offset, sizeBytes: file.sizeBytes })
      return { offset: isPart ? offset : 0, bytes: readBody(response.body) }
    },
  }
}

interface Wanted {
  readonly name: string
  readonly offset: number
  readonly sizeBytes: number
}

/** Rejects a server that sends another range than requested: `content-range: bytes 100-199/200`. */
function checkRange(response: Response, { name, offset, sizeBytes }: Wanted): void {
  const range = response.headers.get('content-range') ?? ''
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? []
  if (Number(first) === offset && (total === '*' || Number(total) === sizeBytes)) return
  throw new AppError('no_capacity', `${name} sent "${range}" instead of bytes from ${offset} on.`)
}

/** Reads by hand: not every browser's stream is an async iterable. */
async function* readBody(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
