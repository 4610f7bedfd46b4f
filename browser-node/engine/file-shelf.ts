/** A bounded cache of model files in the browser's private file system (OPFS); evicts the least recently used file. */
import { KIB, MIB } from '#shared/base/limits.ts'

/** Size of a tab's model cache. */
const TAB_CACHE_BYTES = 2 * KIB * MIB

/** A file that may be incomplete. */
export type KeptFile = ReturnType<typeof wrap>

export type FileShelf = ReturnType<typeof createFileShelf>

const FOLDER = 'littoral-models'
/** When each file was last used, as JSON; its loss costs only the order of eviction. */
const INDEX = 'last-used.json'

/** Opens the shelf; gives undefined where the browser offers no such file system, as in a private window. */
export async function openFileShelf(
  limitBytes: number = TAB_CACHE_BYTES,
): Promise<FileShelf | undefined> {
  try {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle(FOLDER, { create: true })
    return createFileShelf(folder, limitBytes)
  } catch {
    return undefined
  }
}

function createFileShelf(folder: FileSystemDirectoryHandle, limitBytes: number) {
  const open = new Set<string>()
  let turn = Promise.resolve()

  const prepare = async (sha256: string, sizeBytes: number): Promise<boolean> => {
    const lastUsed = await readIndex(folder)
    const hasRoom = await makeRoom(folder, { sha256, sizeBytes, limitBytes, lastUsed, open })
    lastUsed.set(sha256, Date.now())
    await writeIndex(folder, lastUsed)
    return hasRoom
  }
  return {
    /** Makes room and opens the file for this worker alone; undefined when the file cannot be kept. */
    async open(sha256: string, sizeBytes: number): Promise<KeptFile | undefined> {
      try {
        // One at a time: two calls would count on the same free room.
        const prepared = turn.then(() => prepare(sha256, sizeBytes))
        turn = prepared.then(
          () => {},
          () => {},
        )
        if (!(await prepared)) return undefined
        const file = await folder.getFileHandle(sha256, { create: true })
        const handle = await file.createSyncAccessHandle()
        open.add(sha256)
        return wrap(handle, () => open.delete(sha256))
      } catch {
        return undefined
      }
    },
  }
}

function wrap(handle: FileSystemSyncAccessHandle, onClose: () => void) {
  let at = handle.getSize()
  return {
    sizeBytes: () => at,
    /** Fills the buffer from the start of the file. */
    read: (into: Uint8Array) => void handle.read(into as Uint8Array<ArrayBuffer>, { at: 0 }),
    append(bytes: Uint8Array) {
      at += handle.write(bytes as Uint8Array<ArrayBuffer>, { at })
    },
    clear() {
      handle.truncate(0)
      at = 0
    },
    close() {
      handle.flush()
      handle.close()
      onClose()
    },
  }
}

interface Room {
  readonly sha256: string
  readonly sizeBytes: number
  readonly limitBytes: number
  readonly lastUsed: Map<string, number>
  readonly open: ReadonlySet<string>
}

async function makeRoom(folder: FileSystemDirectoryHandle, room: Room): Promise<boolean> {
  const { sha256, sizeBytes, limitBytes, lastUsed, open } = room
  // Evicting others would not make it fit.
  if (sizeBytes > limitBytes) return false
  const others: { name: string; sizeBytes: number; usedAtMs: number }[] = []
  for await (const [name, handle] of folder.entries()) {
    if (name === sha256 || name === INDEX || handle.kind !== 'file') continue
    const file = handle as FileSystemFileHandle
    const { size } = await file.getFile()
    others.push({ name, sizeBytes: size, usedAtMs: lastUsed.get(name) ?? 0 })
  }
  let total = others.reduce((sum, other) => sum + other.sizeBytes, sizeBytes)
  for (const { name, sizeBytes: freed } of others.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (total <= limitBytes) break
    if (open.has(name)) continue
    await folder.removeEntry(name)
    lastUsed.delete(name)
    total -= freed
  }
  return total <= limitBytes
}

async function readIndex(folder: FileSystemDirectoryHandle): Promise<Map<string, number>> {
  try {
    const file = await (await folder.getFileHandle(INDEX)).getFile()
    const entries: unknown = JSON.parse(await file.text())
    return new Map(
      Object.entries(entries as object).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      ),
    )
  } catch {
    return new Map()
  }
}

async function writeIndex(
  folder: FileSystemDirectoryHandle,
  lastUsed: ReadonlyMap<string, number>,
): Promise<void> {
  const file = await folder.getFileHandle(INDEX, { create: true })
  const handle = await file.createSyncAccessHandle()
  try {
    const bytes = new TextEncoder().encode(JSON.stringify(Object.fromEntries(lastUsed)))
    handle.truncate(0)
    handle.write(bytes, { at: 0 })
  } finally {
    handle.close()
  }
}
