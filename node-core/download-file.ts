/** Downloads a file, in a tab or in Node: resumes after a cut, and keeps only the file that its manifest names. */
import { untilAborted } from '#shared/base/deadline.ts'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelFile } from '#shared/job/model.ts'
import type { FileBody, FileSource } from './file-source.ts'

/** Times that one source is asked to resume. */
const MODEL_SOURCE_RESUMES = 4

/** Where the bytes go. It may hold the start of the file from an earlier try. */
export interface FileSink {
  readonly sizeBytes: number
  read(): AsyncIterable<Uint8Array>
  append(bytes: Uint8Array): Promise<void>
  clear(): Promise<void>
}

/** Incremental SHA-256. */
export interface FileHash {
  update(bytes: Uint8Array): void
  /** `0x` and 64 hexadecimal digits. */
  digest(): string | Promise<string>
}

export interface DownloadOptions {
  readonly sources: readonly FileSource[]
  readonly sink: FileSink
  readonly createHash: () => FileHash
  readonly signal: AbortSignal
  readonly log: Log
  /** Gets the size of each piece that arrived. */
  readonly onBytes?: ((sizeBytes: number) => void) | undefined
  /** @default LIMITS.modelStallMs */
  readonly stallMs?: number | undefined
}

/**
 * Resolves when the sink holds the file and its hash matches.
 * @throws {AppError} file_corrupt when a source gave another file and no source had the right one, no_capacity when
 * none had it, cancelled
 */
export async function downloadFile(file: ModelFile, options: DownloadOptions): Promise<void> {
  const { sources, sink, signal, log } = options
  let failure: AppError | undefined
  for (const source of sources) {
    // The start from an earlier try may be what is wrong, so a wrong hash is retried once from the beginning.
    const tries = sink.sizeBytes > 0 ? 2 : 1
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      try {
        return await fromSource(file, source, options)
      } catch (error) {
        if (signal.aborted) throw stopped(file, signal.reason)
        const fault = asAppError(error)
        const isCorrupt = fault.code === 'file_corrupt'
        if (failure === undefined || isCorrupt) failure = fault
        const { name } = source
        log.warn('file.source-failed', { file: file.name, source: name, detail: fault.detail })
        if (!isCorrupt) break
        await sink.clear()
      }
    }
  }
  throw failure ?? new AppError('no_capacity', `${file.name} has no source that can be used here.`)
}

async function fromSource(
  file: ModelFile,
  source: FileSource,
  options: DownloadOptions,
): Promise<void> {
  const { sink, createHash, log } = options
  if (sink.sizeBytes > file.sizeBytes) await sink.clear()
  const state = { hash: createHash() }
  for await (const piece of sink.read()) state.hash.update(piece)
  for (let resumes = 0; sink.sizeBytes < file.sizeBytes; resumes += 1) {
    const before = sink.sizeBytes
    try {
      await receive(file, source, options, state)
      if (sink.sizeBytes < file.sizeBytes) throw new Error('the connection ended early')
    } catch (error) {
      // A network fault has no code of ours, or `node_lost`. It can be resumed.
      const code = errorCode(error)
      const isFinal = (code !== undefined && code !== 'node_lost') || options.signal.aborted
      const hasProgress = sink.sizeBytes > before
      if (isFinal || !hasProgress || resumes >= MODEL_SOURCE_RESUMES) throw error
      log.info('file.resumed', { file: file.name, source: source.name, offset: sink.sizeBytes })
    }
  }
  const digest = await state.hash.digest()
  if (digest === file.sha256) return
  throw corrupt(file, source, `its SHA-256 is ${digest}, not ${file.sha256}`)
}

async function receive(
  file: ModelFile,
  source: FileSource,
  options: DownloadOptions,
  state: { hash: FileHash },
): Promise<void> {
  const { sink, onBytes } = options
  const stall = createStall(source, options)
  const signal = AbortSignal.any([options.signal, stall.signal])
  try {
    const body = await untilAborted(source.open(file, sink.sizeBytes, signal), signal)
    if (body.offset !== sink.sizeBytes) {
      await sink.clear()
      state.hash = options.createHash()
    }
    for await (const piece of untilAbort(body, signal)) {
      stall.heard()
      if (sink.sizeBytes + piece.length > file.sizeBytes)
        throw corrupt(file, source, `it is longer than ${file.sizeBytes} bytes`)
      state.hash.update(piece)
      await sink.append(piece)
      onBytes?.(piece.length)
    }
  } finally {
    stall.stop()
  }
}

function createStall({ name }: FileSource, { stallMs = LIMITS.modelStallMs }: DownloadOptions) {
  const controller = new AbortController()
  const give = () =>
    controller.abort(new AppError('no_capacity', `${name} sent nothing for ${stallMs} ms.`))
  let timer = setTimeout(give, stallMs)
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer)
      timer = setTimeout(give, stallMs)
    },
    stop: () => clearTimeout(timer),
  }
}

/** Yields the body's pieces. It stops even if the source ignores its signal. */
async function* untilAbort({ bytes }: FileBody, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await untilAborted(pieces.next(), signal)
      if (done === true) return
      yield value
    }
  } finally {
    // Not awaited: a stalled source may never settle.
    void Promise.resolve(pieces.return?.()).catch(() => {})
  }
}

function corrupt(file: ModelFile, source: FileSource, why: string): AppError {
  return new AppError(
    'file_corrupt',
    `${file.name} from ${source.name} is not the file that its manifest names: ${why}.`,
  )
}

function stopped({ name }: ModelFile, reason: unknown): AppError {
  if (errorCode(reason) !== undefined) return toAppError(reason)
  const isLate = reason instanceof Error && reason.name === 'TimeoutError'
  return isLate
    ? new AppError('no_capacity', `${name} could not be fetched in time.`, { cause: reason })
    : new AppError('cancelled', `Nobody is waiting for ${name} any more.`, { cause: reason })
}

/** A network fault has a code of ours only if we gave it one. */
function asAppError(error: unknown): AppError {
  if (errorCode(error) !== undefined) return toAppError(error)
  const why = error instanceof Error ? error.message : String(error)
  return new AppError('no_capacity', `The file could not be fetched: ${why}`, { cause: error })
}
