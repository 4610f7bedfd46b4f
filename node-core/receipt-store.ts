/** Where a node keeps receipts until a hub has stored them. Each is delivered at least once. */
import type { Bytes32 } from '#shared/base/ids.ts'
import type { StoredReceipt } from '#p2p/stream/messages.ts'

export interface KeptReceipt<Stored = StoredReceipt> {
  readonly id: Bytes32
  readonly stored: Stored
}

export interface ReceiptStore<Stored = StoredReceipt> {
  /** Resolves once all of them would survive the end of this process. Calls that come together are one write. */
  put(receipts: readonly KeptReceipt<Stored>[]): Promise<void>
  /** A removal may be lost with this process; the receipt is then delivered once more. */
  remove(ids: readonly Bytes32[]): Promise<void>
  pending(): Promise<readonly Stored[]>
}

export interface GroupCommitOptions<T> {
  /** Makes the items durable; one call at a time. */
  readonly write: (items: readonly T[]) => Promise<void>
  /** Calls `begin` once this tick's items are there. */
  readonly soon: (begin: () => void) => void
}

/**
 * Gathers items while the write before them runs, and writes them as one group.
 * @returns a function that resolves when its items are durable, and rejects with the error of their write
 */
export function createGroupCommit<T>({ write, soon }: GroupCommitOptions<T>) {
  let group: { readonly items: T[]; readonly written: PromiseWithResolvers<void> } | undefined
  let isWriting = false
  const writeGroups = async () => {
    while (group !== undefined) {
      const { items, written } = group
      group = undefined
      await write(items).then(written.resolve, written.reject)
    }
    isWriting = false
  }
  return (items: readonly T[]): Promise<void> => {
    group ??= { items: [], written: Promise.withResolvers() }
    group.items.push(...items)
    const { promise } = group.written
    if (isWriting) return promise
    isWriting = true
    soon(() => void writeGroups())
    return promise
  }
}
