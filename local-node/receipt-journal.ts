/**
 * Keeps receipts that no hub has acknowledged in one append-only file. One sync writes all receipts that arrive together;
 * an acknowledgement appends a line without a sync.
 */
import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { StoredReceipt, type ReceiptStore } from '#node-core/receipt-store.ts'

/** One line of the file. */
const Entry = z.union([
  z.strictObject({ stored: z.array(StoredReceipt) }),
  z.strictObject({ gone: z.array(Bytes32) }),
])
type Entry = z.infer<typeof Entry>

/** The file is rewritten once it holds this many bytes of acknowledged receipts. */
const GONE_BYTES = 4 * 1024 * 1024

export interface ReceiptJournal extends ReceiptStore {
  close(): Promise<void>
}

export interface JournalOptions {
  readonly log: Pick<Log, 'warn'>
  /** @default 4 MiB */
  readonly goneBytes?: number | undefined
}

/** @param folder created if missing */
export async function openReceiptJournal(
  folder: string,
  { log, goneBytes: mostGoneBytes = GONE_BYTES }: JournalOptions,
): Promise<ReceiptJournal> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'receipts.jsonl')
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const kept = readEntries(text, log)
  let file = await rewrite(path, kept)
  let goneBytes = 0
  let waiting: { readonly entry: Entry; readonly written: PromiseWithResolvers<void> }[] = []
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
          if (lines.some(({ entry }) => 'stored' in entry)) await file.datasync()
        }
        for (const { written } of lines) written.resolve()
      } catch (error) {
        // A line may be incomplete. Rewrite the file next, so that nothing is appended to half a line.
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
    async put(stored) {
      if (kept.size + stored.length > LIMITS.receiptsKept)
        throw new AppError(
          'no_capacity',
          `${kept.size} receipts wait for a hub; no more work until one takes them.`,
        )
      for (const receipt of stored) kept.set(receipt.receiptId, receipt)
      try {
        await append({ stored: [...stored] })
      } catch (error) {
        for (const { receiptId } of stored) kept.delete(receiptId)
        throw error
      }
    },
    async remove(ids) {
      const gone = ids.filter((id) => {
        const stored = kept.get(id)
        if (stored !== undefined) goneBytes += toLine({ stored: [stored] }).length
        return kept.delete(id)
      })
      if (gone.length > 0) await append({ gone })
    },
    pending: () => Promise.resolve([...kept.values()]),
    close: () => file.close(),
  }
}

/** Replaces the file durably by one with only the kept receipts, and opens it for appending. */
async function rewrite(
  path: string,
  kept: ReadonlyMap<Bytes32, StoredReceipt>,
): Promise<FileHandle> {
  const file = await open(`${path}.new`, 'w', 0o600)
  const lines = [...kept.values()].map((stored) => toLine({ stored: [stored] }))
  await file.writeFile(lines.join(''))
  await file.datasync()
  await rename(`${path}.new`, path)
  await syncFolder(dirname(path))
  return file
}

/** Makes a rename durable. Windows cannot open folders, and does not need this. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync()
  await handle.close()
}

/** A process that died while writing leaves an incomplete line; its receipt was never confirmed as kept. */
function readEntries(text: string, log: Pick<Log, 'warn'>): Map<Bytes32, StoredReceipt> {
  const kept = new Map<Bytes32, StoredReceipt>()
  for (const line of text.split('\n').filter((part) => part !== '')) {
    const entry = parseLine(line)
    if (entry === undefined) log.warn('receipts.line-unreadable', { sizeBytes: line.length })
    else if ('gone' in entry) for (const id of entry.gone) kept.delete(id)
    else for (const stored of entry.stored) kept.set(stored.receiptId, stored)
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
