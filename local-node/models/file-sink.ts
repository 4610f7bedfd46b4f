/** A file that is being fetched: it survives a restart, and gets its final name only when it is complete. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import type { FileHash, FileSink } from '#node-core/download-file.ts'

export interface PartFile extends FileSink {
  /** Syncs the file and renames it, so that only a complete file has the final name. */
  finish(path: string): Promise<void>
  /** Closes the file; its contents stay for the next attempt. */
  close(): Promise<void>
}

/** Opens `path.part`, or a file for this process alone while another process holds the lock. */
export async function openPart(path: string): Promise<PartFile> {
  const lock = `${path}.lock`
  const isShared = await takeLock(lock)
  const part = isShared ? `${path}.part` : `${path}.${process.pid}.part`
  const file = await open(part, isShared ? 'a+' : 'w+', 0o600)
  let { size: sizeBytes } = await file.stat()
  return {
    get sizeBytes() {
      return sizeBytes
    },
    read: () => createReadStream(part, { start: 0 }) as AsyncIterable<Uint8Array>,
    async append(bytes) {
      await file.appendFile(bytes)
      sizeBytes += bytes.length
    },
    async clear() {
      await file.truncate(0)
      sizeBytes = 0
    },
    async finish(target) {
      await file.sync()
      await rename(part, target)
    },
    async close() {
      await file.close()
      if (isShared) await unlink(lock).catch(() => {})
      else await unlink(part).catch(() => {})
    },
  }
}

/** Lets one process at a time append; a dead process's lock is taken over. */
async function takeLock(lock: string): Promise<boolean> {
  const take = () =>
    writeFile(lock, String(process.pid), { flag: 'wx', mode: 0o600 }).then(
      () => true,
      () => false,
    )
  if (await take()) return true
  const holder = Number(await readFile(lock, 'utf8').catch(() => '0'))
  if (holder > 0 && isAlive(holder)) return false
  await unlink(lock).catch(() => {})
  return take()
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

export function nativeHash(): FileHash & { digest(): string } {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `0x${hash.digest('hex')}`,
  }
}

export async function hashFile(path: string): Promise<string> {
  const hash = nativeHash()
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array)
  return hash.digest()
}
