/** Model files on this machine: found locally, or fetched by content hash into a bounded cache. */
import type { Stats } from 'node:fs'
import { mkdir, readdir, stat, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { downloadFile } from '#node-core/download-file.ts'
import { httpSource, type FileSource } from '#node-core/file-source.ts'
import { AppError } from '#shared/base/errors.ts'
import { KIB, MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelFile } from '#shared/job/model.ts'
import { parseSource } from '#shared/job/model-source.ts'
import { hashFile, nativeHash, openPart } from './file-sink.ts'

/** Default size of the model cache on disk. */
export const MODEL_CACHE_BYTES = 8 * KIB * MIB
/** Default size of all loaded models, as bytes of their files. */
export const MODEL_MEMORY_BYTES = KIB * MIB

export interface ModelStoreOptions {
  /** The cache; each file is named by its SHA-256. */
  readonly folder: string
  /** @default MODEL_CACHE_BYTES */
  readonly limitBytes?: number | undefined
  /** Holds `models/` and `node_modules/`. @default this repository */
  readonly root?: string | undefined
  /** Base URL for `hf:` sources. @default https://huggingface.co */
  readonly modelHub?: string | undefined
  /** The operator's Worker, asked when no source of the manifest works. */
  readonly origin?: string | undefined
  readonly log: Log
  /** @default LIMITS.modelStallMs */
  readonly stallMs?: number | undefined
}

export interface FetchOptions {
  readonly signal: AbortSignal
  /** Other nodes that may have the file; asked last. */
  readonly peers?: readonly FileSource[] | undefined
  readonly onBytes?: ((sizeBytes: number) => void) | undefined
}

/** A file that is not evicted until `release` is called. */
export interface HeldFile {
  readonly path: string
  readonly sizeBytes: number
  release(): void
}

export interface ModelStore {
  /**
   * Finds or fetches the file, checked against its hash.
   * @throws {AppError} file_corrupt, no_capacity when no source has it or the cache is full of files in use, cancelled
   */
  fetch(file: ModelFile, options: FetchOptions): Promise<HeldFile>
  /** Finds the file if it is already on this machine. */
  find(file: ModelFile): Promise<HeldFile | undefined>
}

export const DEFAULT_MODELS = '.littoral/models'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export async function createModelStore(options: ModelStoreOptions): Promise<ModelStore> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 })
  return new Store(options)
}

class Store implements ModelStore {
  readonly #options: ModelStoreOptions
  readonly #holds = new Map<string, number>()
  readonly #fetching = new Map<string, Promise<string>>()
  /** Full sizes of the files that are being fetched. */
  readonly #incoming = new Map<string, number>()
  /** Paths whose hash was right, with their size, inode and time of change at that moment. */
  readonly #verified = new Map<string, string>()

  constructor(options: ModelStoreOptions) {
    this.#options = options
  }

  async fetch(file: ModelFile, how: FetchOptions): Promise<HeldFile> {
    const release = this.#hold(file)
    try {
      const path = (await this.#local(file)) ?? (await this.#fetchOnce(file, how))
      return { path, sizeBytes: file.sizeBytes, release }
    } catch (error) {
      release()
      throw error
    }
  }

  async find(file: ModelFile): Promise<HeldFile | undefined> {
    const release = this.#hold(file)
    const path = await this.#local(file)
    if (path !== undefined) return { path, sizeBytes: file.sizeBytes, release }
    release()
    return undefined
  }

  /** Called before the file is looked for, so that it cannot be evicted in between. */
  #hold({ sha256 }: ModelFile): () => void {
    this.#holds.set(sha256, (this.#holds.get(sha256) ?? 0) + 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      const left = (this.#holds.get(sha256) ?? 1) - 1
      if (left > 0) this.#holds.set(sha256, left)
      else this.#holds.delete(sha256)
    }
  }

  /** Looks in the cache, in the repository and in installed packages, in this order. */
  async #local(file: ModelFile): Promise<string | undefined> {
    const cached = join(this.#options.folder, file.sha256)
    if (await this.#isRight(cached, file)) {
      const { mtime } = await stat(cached)
      await utimes(cached, new Date(), mtime)
      return cached
    }
    for (const source of file.sources) {
      const path = localPath(source, this.#options.root ?? REPOSITORY)
      if (path !== undefined && (await this.#isRight(path, file))) return path
    }
    return undefined
  }

  async #isRight(path: string, file: ModelFile): Promise<boolean> {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || !found.isFile()) return false
    const mark = markOf(file, found)
    if (this.#verified.get(path) === mark) return true
    const isRight = found.size === file.sizeBytes && (await hashFile(path)) === file.sha256
    if (isRight) {
      this.#verified.set(path, mark)
      return true
    }
    this.#options.log.warn('file.corrupt', { file: file.name, path })
    // Only files in the cache are ours to delete.
    if (path.startsWith(this.#options.folder)) await unlink(path).catch(() => {})
    return false
  }

  /** Two models may share a file; it is fetched only once. */
  #fetchOnce(file: ModelFile, how: FetchOptions): Promise<string> {
    const begun = this.#fetching.get(file.sha256)
    if (begun !== undefined) return begun
    const fetching = this.#download(file, how).finally(() => this.#fetching.delete(file.sha256))
    this.#fetching.set(file.sha256, fetching)
    return fetching
  }

  async #download(file: ModelFile, { signal, peers = [], onBytes }: FetchOptions): Promise<string> {
    const { folder, log, stallMs } = this.#options
    const sources = [...this.#remote(file), ...peers]
    if (sources.length === 0)
      throw new AppError('no_capacity', `${file.name} is not on this machine: ${file.sources[0]}.`)
    const path = join(folder, file.sha256)
    this.#incoming.set(file.sha256, file.sizeBytes)
    try {
      await this.#makeRoom(file)
      const part = await openPart(path)
      try {
        const createHash = nativeHash
        await downloadFile(file, { sources, sink: part, createHash, signal, log, onBytes, stallMs })
        await part.finish(path)
      } finally {
        await part.close()
      }
    } finally {
      this.#incoming.delete(file.sha256)
    }
    this.#verified.set(path, markOf(file, await stat(path)))
    log.info('file.fetched', { file: file.name, sizeBytes: file.sizeBytes })
    return path
  }

  #remote(file: ModelFile): FileSource[] {
    const { modelHub, origin } = this.#options
    const urls = file.sources.flatMap((source) => {
      const parsed = parseSource(source, modelHub)
      return parsed.kind === 'url' ? [parsed.url] : []
    })
    if (origin !== undefined) urls.push(new URL(`/models/${file.sha256}`, origin).href)
    return urls.map((url) => httpSource(url, fetch))
  }

  /** Evicts the least recently used files that are not held. @throws {AppError} no_capacity when that is not enough */
  async #makeRoom(file: ModelFile): Promise<void> {
    const { folder, limitBytes = MODEL_CACHE_BYTES, log } = this.#options
    // Includes this file, so that later calls count it. Each partial file counts with its full size.
    const incoming = new Map(this.#incoming)
    const rest = (await listFiles(folder))
      .filter(({ sha256 }) => !incoming.has(sha256))
      .toSorted((a, b) => a.usedAtMs - b.usedAtMs)
    const incomingBytes = incoming.values().reduce((sum, sizeBytes) => sum + sizeBytes, 0)
    const keptBytes = rest
      .filter(({ sha256 }) => this.#holds.has(sha256))
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, incomingBytes)
    // A file that would not fit beside the files in use must not evict others.
    if (keptBytes > limitBytes) throw noRoom(file, limitBytes)
    let total = rest.reduce((sum, { sizeBytes }) => sum + sizeBytes, incomingBytes)
    for (const { path, sha256, sizeBytes } of rest) {
      if (total <= limitBytes) break
      if (this.#holds.has(sha256)) continue
      await unlink(path).catch(() => {})
      this.#verified.delete(path)
      total -= sizeBytes
      log.info('file.evicted', { sha256, sizeBytes })
    }
  }
}

function noRoom({ name, sizeBytes }: ModelFile, limitBytes: number): AppError {
  return new AppError(
    'no_capacity',
    `${name} (${sizeBytes} bytes) does not fit into the model cache of ${limitBytes} bytes beside the files in use.`,
  )
}

function markOf({ sha256 }: ModelFile, { size, ino, mtimeMs }: Stats): string {
  return `${sha256} ${size} ${ino} ${mtimeMs}`
}

interface CacheEntry {
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
  readonly usedAtMs: number
}

/** Lists files and partial files; anything else in the folder is ignored. */
async function listFiles(folder: string): Promise<CacheEntry[]> {
  const entries: CacheEntry[] = []
  for (const name of await readdir(folder)) {
    const [, sha256] = /^(0x[0-9a-f]{64})(?:(?:\.\d+)?\.part)?$/.exec(name) ?? []
    if (sha256 === undefined) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined)
      entries.push({ path, sha256, sizeBytes: found.size, usedAtMs: found.atimeMs })
  }
  return entries
}

/** Gives the path of a local source; undefined for a source that must be fetched. */
export function localPath(source: string, root: string = REPOSITORY): string | undefined {
  const parsed = parseSource(source)
  if (parsed.kind === 'url') return undefined
  return join(root, parsed.kind === 'package' ? `node_modules/${parsed.path}` : parsed.path)
}
