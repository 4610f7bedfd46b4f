/** Where a node keeps receipts until a hub has stored them. Each is delivered at least once. */
import type { Bytes32 } from '#shared/base/ids.ts'
import type { StoredReceipt } from '#p2p/stream/messages.ts'

export interface ReceiptStore {
  /** Resolves once the receipt would survive the end of this process. */
  put(id: Bytes32, stored: StoredReceipt): Promise<void>
  remove(ids: readonly Bytes32[]): Promise<void>
  pending(): Promise<readonly StoredReceipt[]>
}
