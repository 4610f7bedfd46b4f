/**
 * Receipts that no hub has acknowledged, in one file that is only appended to: receipts that come together are on the
 * disk by one sync, and one that was acknowledged costs a line that nobody waits for.
 */
import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { ReceiptStore } from '#node-core/receipt-store.ts'
import { StoredReceipt } from '#p2p/stream/messages.ts'

/** One line of the file. */
const Entry = z.union([
  z.strictObject({ id: Bytes32, stored: StoredReceipt }),
  z.strictObject({ gone: z.array(Bytes32) }),
])
type Entry = z.infer<typeof Entry>

/** Written anew with what is left once so much of it is about receipts that are gone. */
const GONE_BYTES = 4 * 1024 * 1024

export interface ReceiptJournal extends ReceiptStore {
  close(): Promise<void>
}

export interface JournalOptions {
  readonly log: Pick<Log, 'warn'>
  /** @default 4 MiB */
  readonly goneBytes?: number | undefined
}

interface Line {
  readonly entry: Entry
  readonly written: PromiseWithResolvers<void>
}

/** @param folder made where it is missing */
export async function openReceiptJournal(
  folder: string,
  { log, goneBytes: mostGoneBytes = GONE_BYTES }: JournalOptions,
): Promise<ReceiptJournal> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'receipts.jsonl')
  const kept = readEntries(await readOrNothing(path), log)
  let file = await rewrite(path, kept)
  let goneBytes = 0
  let waiting: Line[] = []
  let isWriting = false

  const writeAll = async () => {
    isWriting = true
    while (waiting.length > 0) {
      const lines = waiting
      waiting = []
      try {
        if (goneBytes > mostGoneBytes) {
          const old = file
          file = await rewrite(path, kept)
          await old.close()
          goneBytes = 0
        } else {
          await file.appendFile(lines.map(({ entry }) => toLine(entry)).join(''))
          if (lines.some(({ entry }) => 'id' in entry)) await file.datasync()
        }
        for (const { written } of lines) written.resolve()
      } catch (error) {
        // Part of it may stand there; what is written next must not stand behind half a line.
        goneBytes = Infinity
        for (const { written } of lines) written.reject(error)
      }
    }
    isWriting = false
  }
  const append = (entry: Entry): Promise<void> => {
    const line = { entry, written: Promise.withResolvers<void>() }
    waiting.push(line)
    if (!isWriting) void writeAll()
    return line.written.promise
  }

  return {
    async put(id, stored) {
      if (kept.size >= LIMITS.receiptsKept)
        throw new AppError(
          'no_capacity',
          `${kept.size} receipts wait for a hub; no more work until one takes them.`,
        )
      kept.set(id, stored)
      try {
        await append({ id, stored })
      } catch (error) {
        kept.delete(id)
        throw error
      }
    },
    async remove(ids) {
      const gone = ids.filter((id) => {
        const stored = kept.get(id)
        if (stored !== undefined) goneBytes += toLine({ id, stored }).length
        return kept.delete(id)
      })
      if (gone.length > 0) await append({ gone })
    },
    pending: () => Promise.resolve([...kept.values()]),
    close: () => file.close(),
  }
}

/** The file with only what is kept, on the disk under its name; open for more. */
async function rewrite(
  path: string,
  kept: ReadonlyMap<Bytes32, StoredReceipt>,
): Promise<FileHandle> {
  const file = await open(`${path}.new`, 'w', 0o600)
  const lines = [...kept].map(([id, stored]) => toLine({ id, stored }))
  await file.writeFile(lines.join(''))
  await file.datasync()
  await rename(`${path}.new`, path)
  await syncFolder(dirname(path))
  return file
}

/** A name is on the disk only when its folder is. Windows opens no folders, and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync()
  await handle.close()
}

async function readOrNothing(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** A process that died while it wrote leaves a line cut short: nobody was told that it is kept. */
function readEntries(text: string, log: Pick<Log, 'warn'>): Map<Bytes32, StoredReceipt> {
  const kept = new Map<Bytes32, StoredReceipt>()
  for (const line of text.split('\n').filter((part) => part !== '')) {
    const entry = parseLine(line)
    if (entry === undefined) log.warn('receipts.line-unreadable', { sizeBytes: line.length })
    else if ('gone' in entry) for (const id of entry.gone) kept.delete(id)
    else kept.set(entry.id, entry.stored)
  }
  return kept
}

function parseLine(line: string): Entry | undefined {
  try {
    return Entry.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}

function toLine(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`
}
