/** A node's receipts: signed in groups, and kept until their hub says that they may be forgotten. */
import { z } from 'zod'
import { invariant } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { createGroup } from '#shared/proof/group.ts'
import type { Signer } from '#shared/proof/signature.ts'
import { signLeaves, TreeSignature } from '#shared/proof/tree-signature.ts'
import { RECEIPT_LAYOUT, receiptId, type Receipt } from '#shared/receipt/receipt.ts'
import { KeptReceipt } from '#p2p/stream/messages.ts'

/** A receipt that the node has signed. */
export const StoredReceipt = KeptReceipt.extend({
  /** The receipt's canonical bytes. */
  receipt: z.instanceof(Uint8Array),
  salt: Bytes32,
  nodeSignature: TreeSignature,
})
export type StoredReceipt = z.infer<typeof StoredReceipt>

export interface ReceiptStore {
  /** Resolves once all of them would survive the end of this process. Calls that come together are one write. */
  put(receipts: readonly StoredReceipt[]): Promise<void>
  /** A removal may be lost with this process; the receipt is then delivered once more. */
  remove(ids: readonly Bytes32[]): Promise<void>
  pending(): Promise<readonly StoredReceipt[]>
}

export interface GroupCommitOptions<T> {
  /** Makes the items durable; one call at a time. */
  readonly write: (items: readonly T[]) => Promise<void>
  /** Calls `begin` once the items that come together are there. */
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

export interface SigningDeps {
  readonly signer: Signer
  readonly store: ReceiptStore
  readonly domain: Domain
  /** Number of jobs that run on the node. */
  readonly running: () => number
}

interface Unsigned {
  readonly receipt: Receipt
  readonly salt: Bytes32
}

/** Signs and keeps receipts, together with those of other jobs that end at the same time. */
export function createNodeSigning({ signer, store, domain, running }: SigningDeps) {
  const take = async (items: readonly Unsigned[]): Promise<TreeSignature[]> => {
    const encoded = items.map(({ receipt }) => RECEIPT_LAYOUT.encode(domain, receipt))
    const ids = encoded.map((bytes) => receiptId(bytes))
    const signatures = await signLeaves(ids, { by: 'node', domain, signer })
    const stored = items.map(({ receipt: { ticket }, salt }, index): StoredReceipt => {
      const [receiptId, bytes, nodeSignature] = [ids[index], encoded[index], signatures[index]]
      invariant(receiptId && bytes && nodeSignature, 'each receipt has its bytes and signature')
      const { jobId, hub } = ticket
      return { receiptId, jobId, hub, receipt: bytes, salt, nodeSignature }
    })
    await store.put(stored)
    return signatures
  }
  const after = (ms: number, call: () => void) => {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  }
  return { domain, ...createGroup({ take, running, after }) }
}

export type NodeSigning = ReturnType<typeof createNodeSigning>
