/**
 * Keeps receipts that no hub has acknowledged in one append-only file. One durable write takes all receipts that arrive
 * together; acknowledgements are written with the next receipts.
 */
import { constants, fdatasync, write } from 'node:fs'
import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { createGroupCommit, StoredReceipt, type ReceiptStore } from '#node-core/receipt-store.ts'

/** One line of the file; the receipt's bytes are in base64. */
const Entry = z.union([
  z.strictObject({ stored: StoredReceipt.extend({ receipt: z.base64().transform(toBytes) }) }),
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
  let gone: Bytes32[] = []
  let goneBytes = 0

  const writeLines = async (lines: readonly string[]) => {
    try {
      const acknowledged = gone
      gone = []
      if (goneBytes <= mostGoneBytes) {
        const first = acknowledged.length === 0 ? '' : toLine({ gone: acknowledged })
        return await append(file, first + lines.join(''))
      }
      const old = file
      file = await rewrite(path, kept)
      await old.close()
      goneBytes = 0
    } catch (error) {
      // A line may be incomplete. Rewrite the file next, so that nothing is appended to half a line.
      goneBytes = Infinity
      throw error
    }
  }
  // Jobs that end together come as one group. The first group is written at once, those that come meanwhile together.
  const commit = createGroupCommit({ write: writeLines, soon: queueMicrotask })

  return {
    async put(receipts) {
      if (kept.size + receipts.length > LIMITS.receiptsKept)
        throw new AppError(
          'no_capacity',
          `${kept.size} receipts wait for a hub; no more work until one takes them.`,
        )
      const lines = receipts.map((stored) => toLine({ stored }))
      for (const [at, stored] of receipts.entries())
        kept.set(stored.receiptId, { stored, lineBytes: lines[at]?.length ?? 0 })
      try {
        await commit(lines)
      } catch (error) {
        for (const { receiptId } of receipts) kept.delete(receiptId)
        throw error
      }
    },
    async remove(ids) {
      for (const id of ids) {
        const known = kept.get(id)
        if (known === undefined) continue
        kept.delete(id)
        gone.push(id)
        goneBytes += known.lineBytes
      }
      if (goneBytes > mostGoneBytes) await commit([])
    },
    pending: () => Promise.resolve([...kept.values()].map(({ stored }) => stored)),
    async close() {
      if (gone.length > 0) await commit([])
      await file.close()
    },
  }
}

interface Kept {
  readonly stored: StoredReceipt
  readonly lineBytes: number
}

/** On Linux a write through this flag is durable when it returns: one trip to another thread instead of two. */
const DURABLE_FLAG = process.platform === 'linux' ? constants.O_DSYNC : 0
const CREATE_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND | DURABLE_FLAG

/** Plain calls: those of a `FileHandle` cost several times as much. */
const [writeTo, syncData] = [promisify(write), promisify(fdatasync)]

async function append({ fd }: FileHandle, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) at += (await writeTo(fd, bytes, at)).bytesWritten
  if (DURABLE_FLAG === 0) await syncData(fd)
}

/** Replaces the file durably by one with only the kept receipts, and opens it for appending. */
async function rewrite(path: string, kept: ReadonlyMap<Bytes32, Kept>): Promise<FileHandle> {
  const file = await open(`${path}.new`, CREATE_FLAGS, 0o600)
  await append(file, [...kept.values()].map(({ stored }) => toLine({ stored })).join(''))
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
function readEntries(text: string, log: Pick<Log, 'warn'>): Map<Bytes32, Kept> {
  const kept = new Map<Bytes32, Kept>()
  for (const line of text.split('\n').filter((part) => part !== '')) {
    const entry = parseLine(line)
    if (entry === undefined) log.warn('receipts.line-unreadable', { sizeBytes: line.length })
    else if ('gone' in entry) for (const id of entry.gone) kept.delete(id)
    else kept.set(entry.stored.receiptId, { stored: entry.stored, lineBytes: line.length })
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
  return `${JSON.stringify('gone' in entry ? entry : { stored: toText(entry.stored) })}\n`
}

function toText({ receipt, ...stored }: StoredReceipt) {
  const { buffer, byteOffset, length } = receipt
  return { ...stored, receipt: Buffer.from(buffer, byteOffset, length).toString('base64') }
}

function toBytes(base64: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}
