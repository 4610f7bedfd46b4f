/** Fetches model files for a tab, from the operator or the manifest's sources, and keeps them in this browser. */
import { downloadFile, type FileSink } from '#node-core/download-file.ts'
import { httpSource, type FileSource } from '#node-core/file-source.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelFile } from '#shared/job/model.ts'
import { parseSource } from '#shared/job/model-source.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import type { FileShelf, KeptFile } from './file-shelf.ts'

export interface ModelFilesOptions {
  readonly origin: string
  readonly fetch: typeof fetch
  /** Undefined in a browser that keeps no files: each start then fetches them again. */
  readonly shelf: FileShelf | undefined
  readonly log: Log
  /** Called with the size of each piece that was fetched or was already there. */
  readonly onBytes: (sizeBytes: number) => void
}

/** @throws {AppError} from the returned function: file_corrupt, no_capacity when no source has the file, cancelled */
export function createModelFiles(
  options: ModelFilesOptions,
): (file: ModelFile, signal: AbortSignal) => Promise<Uint8Array<ArrayBuffer>> {
  const { shelf, log, onBytes } = options
  return async (file, signal) => {
    const kept = await shelf?.open(file.sha256, file.sizeBytes)
    // The only copy in memory; pieces are written into it as they arrive.
    const bytes = new Uint8Array(file.sizeBytes)
    const sink = createSink(bytes, kept, log)
    onBytes(sink.sizeBytes)
    // The whole file is in one buffer, and the browser's hash is many times faster than one in JavaScript.
    const createHash = () => ({ update: () => {}, digest: () => digestBytes(bytes) })
    try {
      const sources = sourcesOf(file, options)
      await downloadFile(file, { sources, sink, createHash, signal, log, onBytes })
      return bytes
    } finally {
      sink.close()
    }
  }
}

/** Lists the operator's copy first: it is the nearest, and the page's policy always allows it. */
function sourcesOf(file: ModelFile, { origin, fetch }: ModelFilesOptions): FileSource[] {
  const urls = file.sources.flatMap((source) => {
    const parsed = parseSource(source)
    return parsed.kind === 'url' ? [parsed.url] : []
  })
  return [`${origin}/models/${file.sha256}`, ...urls].map((url) =>
    httpSource(url, (input, init) => fetch(input, init)),
  )
}

/** Writes to memory and, for as long as the browser has room, to the kept file. */
function createSink(
  bytes: Uint8Array<ArrayBuffer>,
  file: KeptFile | undefined,
  log: Log,
): FileSink & { close(): void } {
  let kept = file
  let sizeBytes = 0
  const keep = (write: (open: KeptFile) => void) => {
    if (kept === undefined) return
    try {
      write(kept)
    } catch (error) {
      log.warn('file.not-kept', { cause: String(error) })
      const failed = kept
      kept = undefined
      // The kept part may have a gap, so the next start fetches the file again.
      closeQuietly(failed)
    }
  }
  keep((open) => {
    if (open.sizeBytes() > bytes.length) open.clear()
    open.read(bytes.subarray(0, open.sizeBytes()))
    sizeBytes = open.sizeBytes()
  })
  return {
    get sizeBytes() {
      return sizeBytes
    },
    async *read() {
      yield bytes.subarray(0, sizeBytes)
    },
    async append(piece) {
      bytes.set(piece, sizeBytes)
      sizeBytes += piece.length
      keep((open) => open.append(piece))
    },
    async clear() {
      sizeBytes = 0
      keep((open) => open.clear())
    },
    close: () => keep((open) => open.close()),
  }
}

function closeQuietly(file: KeptFile): void {
  try {
    file.clear()
    file.close()
  } catch {
    // Nothing more can be done with a handle that fails twice.
  }
}
