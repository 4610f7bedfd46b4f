/** Receipts that no hub has acknowledged, a file each: written whole and renamed into place, gone once acknowledged. */
import { mkdir, readdir, readFile, rename, unlink, open } from 'node:fs/promises'
import { join } from 'node:path'
import { LIMITS } from '#shared/limits.ts'
import { AppError } from '#shared/errors.ts'
import type { ReceiptStore } from '#node-core/receipt-store.ts'
import { StoredReceipt } from '#p2p/messages.ts'

export async function createReceiptFiles(folder: string): Promise<ReceiptStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const listFiles = async () => (await readdir(folder)).filter((name) => name.endsWith('.json'))
  let count = (await listFiles()).length
  return {
    async put(id, stored) {
      if (count >= LIMITS.receiptsKept)
        throw new AppError(
          'no_capacity',
          `${count} receipts wait for a hub; no more work until one takes them.`,
        )
      const path = join(folder, `${id}.json`)
      const file = await open(`${path}.new`, 'w', 0o600)
      await file.writeFile(JSON.stringify(stored))
      await file.sync()
      await file.close()
      await rename(`${path}.new`, path)
      count += 1
    },
    async remove(ids) {
      for (const id of ids) {
        const removed = await unlink(join(folder, `${id}.json`)).then(
          () => true,
          () => false,
        )
        if (removed) count -= 1
      }
    },
    async pending() {
      const names = await listFiles()
      return Promise.all(
        names.map(async (name) =>
          StoredReceipt.parse(JSON.parse(await readFile(join(folder, name), 'utf8'))),
        ),
      )
    },
  }
}
