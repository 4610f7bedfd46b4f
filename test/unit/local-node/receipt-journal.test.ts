import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openReceiptJournal, type ReceiptJournal } from '#local-node/receipt-journal.ts'
import { peerIdOf } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { createTestHub, createTestNode } from '#test/support/hub/work.ts'

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'littoral-receipts-'))))
const opened: ReceiptJournal[] = []
afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close()
  await rm(folder, { recursive: true })
})

async function makeReceipt() {
  const [hub, node] = [await createTestHub(), await createTestNode()]
  const offer = await hub.offer(peerIdOf(node.identity), new Uint8Array([1, 2, 3]))
  const stored = await node.receipt(offer)
  return { id: stored.receiptId, stored }
}

async function open(goneBytes?: number) {
  const journal = await openReceiptJournal(folder, { log: silentLog, goneBytes })
  opened.push(journal)
  return journal
}
const file = () => join(folder, 'receipts.jsonl')

describe('[N8] receipts on a node’s disk', () => {
  it('survive a restart, and are removed once a hub has them', async () => {
    const [first, second] = [await makeReceipt(), await makeReceipt()]
    const before = await open()
    await Promise.all([first, second].map(({ stored }) => before.put([stored])))
    const after = await open()
    expect((await after.pending()).length).toBe(2)
    await after.remove([first.id, first.id, `0x${'00'.repeat(32)}`])
    expect(await after.pending()).toEqual([second.stored])
    await opened.pop()?.close()
    expect(await (await open()).pending()).toEqual([second.stored])
  })

  it('are in the file when put resolves, and a line cut short by a crash damages no other', async () => {
    const [first, second] = [await makeReceipt(), await makeReceipt()]
    const before = await open()
    await before.put([first.stored])
    expect(await readFile(file(), 'utf8')).toContain(first.id)
    await appendFile(file(), JSON.stringify({ stored: second.stored }).slice(0, 300))
    const after = await open()
    await after.put([second.stored])
    expect(await (await open()).pending()).toEqual([first.stored, second.stored])
  })

  it('are written with the acknowledgements before them, without a write for each of those', async () => {
    const [first, second, third] = [await makeReceipt(), await makeReceipt(), await makeReceipt()]
    const journal = await open()
    await journal.put([first.stored, second.stored])
    const sizeBytes = (await stat(file())).size
    await journal.remove([first.id])
    expect((await stat(file())).size).toBe(sizeBytes)
    await Promise.all([journal.put([third.stored]), journal.remove([second.id])])
    const lines = (await readFile(file(), 'utf8')).trimEnd().split('\n')
    expect(lines.slice(2).map((line) => Object.keys(JSON.parse(line) as object))).toEqual([
      ['gone'],
      ['stored'],
    ])
    expect(await (await open()).pending()).toEqual([third.stored])
  })

  it('take only bounded space after they are removed', async () => {
    const kept = await makeReceipt()
    const before = await open()
    await before.put([kept.stored])
    const lineBytes = (await stat(file())).size
    const journal = await open(lineBytes * 4)
    const gone = await makeReceipt()
    for (let turn = 0; turn < 40; turn += 1) {
      await journal.put([gone.stored])
      await journal.remove([gone.id])
    }
    expect((await stat(file())).size).toBeLessThan(lineBytes * 10)
    expect(await journal.pending()).toEqual([kept.stored])
    expect(await (await open()).pending()).toEqual([kept.stored])
  })
})
