import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createReceiptFiles } from '#local-node/receipt-files.ts'
import { peerIdOf } from '#p2p/node.ts'
import { receiptHash } from '#shared/receipt.ts'
import { createTestHub, createTestNode } from '../../support/work.ts'

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'littoral-receipts-'))))
afterEach(() => rm(folder, { recursive: true }))

async function makeReceipt() {
  const [hub, node] = [await createTestHub(), await createTestNode()]
  const offer = await hub.offer(peerIdOf(node.identity), new Uint8Array([1, 2, 3]))
  const stored = await node.receipt(offer)
  return { id: receiptHash(stored.receipt), stored }
}

describe('[N8] receipts on a node’s disk', () => {
  it('are there after a restart, and gone once a hub has them', async () => {
    const [first, second] = [await makeReceipt(), await makeReceipt()]
    const before = await createReceiptFiles(folder)
    for (const { id, stored } of [first, second]) await before.put(id, stored)
    const after = await createReceiptFiles(folder)
    expect((await after.pending()).length).toBe(2)
    await after.remove([first.id, first.id, `0x${'00'.repeat(32)}`])
    expect(await after.pending()).toEqual([second.stored])
  })
})
