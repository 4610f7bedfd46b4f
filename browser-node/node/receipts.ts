/** The tab's receipt store: keeps receipts in IndexedDB until a hub has acknowledged them. */
import { createGroupCommit, type ReceiptStore } from '#node-core/receipt-store.ts'
import { StoredReceipt } from '#p2p/stream/messages.ts'
import type { Log } from '#shared/base/log.ts'
import type { NodeStorage } from './storage.ts'

export function createReceiptStore(storage: NodeStorage, log: Log): ReceiptStore {
  return {
    put: createGroupCommit({
      write: (receipts) => storage.putReceipts(receipts),
      soon: queueMicrotask,
    }),
    remove: (ids) => storage.removeReceipts(ids),
    async pending() {
      const rows = await storage.readReceipts()
      const parsed = rows.map((row) => StoredReceipt.safeParse(row))
      const damaged = parsed.filter(({ success }) => !success).length
      if (damaged > 0) log.warn('receipts.damaged', { count: damaged })
      return parsed.flatMap(({ data }) => (data === undefined ? [] : [data]))
    },
  }
}
