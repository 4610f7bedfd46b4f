/** Receipts between the hub's outbox, tenants and ledger: what leaves when, and what is lost when somebody is away. */
import { bytesToHex } from 'viem'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { randomBytes, TenantId, type Bytes32 } from '#shared/base/ids.ts'
import { silentLog, type Log } from '#shared/base/log.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { RECEIPT_LAYOUT } from '#shared/receipt/receipt.ts'
import { checkAuthenticity } from '#shared/receipt/check-receipt.ts'
import {
  createReceiptMaker,
  EU_POLICY_TEXT,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createDelivery, SLICE_PAUSE_MS, SLICE_RECEIPTS } from '#worker/hub/receipts/delivery.ts'
import { Outbox, OUTBOX_RECEIPTS, type KeptReceipt } from '#worker/hub/receipts/outbox.ts'
import { createReceiptSigning } from '#worker/hub/receipts/signing.ts'
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { createManualClock } from '#test/support/hub/hub-in-time.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const [ACME, BETA] = [TenantId.parse('acme'), TenantId.parse('beta')]
const PAYER = `0x${'ab'.repeat(20)}` as const
const policyOf = (tenant: TenantId) => compilePolicy(EU_POLICY_TEXT, { tenant, version: 1 })

let maker: ReceiptMaker
beforeAll(async () => void (maker = await createReceiptMaker(DOMAIN)))

/** Receipts as the hub keeps them. */
async function make(tenant: TenantId, count: number): Promise<KeptReceipt[]> {
  const policy = policyOf(tenant)
  const made = await maker.makeAll(Array.from({ length: count }, () => ({ policy })))
  return made.map(({ id, domain, receipt, nodeSignature, hubSignature, presence }) => ({
    id,
    receipt: RECEIPT_LAYOUT.encode(domain, receipt),
    ticket: receipt.ticket,
    nodeSignature,
    hubSignature,
    salt: bytesToHex(randomBytes(32)),
    consumer: null,
    policy,
    presence,
    evidence: null,
  }))
}

function open(storage = createSqliteStorage({ schema: HUB_SCHEMA })) {
  const clock = createManualClock()
  const scene = {
    running: 0,
    errors: [] as string[],
    /** Pauses within deliveries, in ms. They end at once. */
    pauses: [] as number[],
    failing: new Set<string>(),
    recorded: [] as { tenant: TenantId; ids: Bytes32[] }[],
    accepted: [] as ReceiptGroup[],
    wakes: [] as number[],
  }
  const log: Log = { ...silentLog, error: (event) => void scene.errors.push(event) }
  const outbox = new Outbox(storage, log)
  const after: Clock['after'] = (ms, fire) => {
    if (ms > SLICE_PAUSE_MS) return clock.after(ms, fire)
    scene.pauses.push(ms)
    queueMicrotask(fire)
    return () => {}
  }
  const delivery = createDelivery(outbox, {
    receivers: {
      async record(tenant, { receipts }) {
        await Promise.resolve()
        if (scene.failing.has(tenant)) throw new Error(`${tenant} is away`)
        scene.recorded.push({ tenant, ids: receipts.map(({ id }) => id) })
        return { later: [], consumer: PAYER }
      },
      async accept(group) {
        await Promise.resolve()
        if (scene.failing.has('ledger')) throw new Error('the ledger is away')
        scene.accepted.push(group)
        return group.receipts.map(({ id }) => id)
      },
    },
    running: () => scene.running,
    wake: (delayMs) => void scene.wakes.push(delayMs),
    log,
    clock: { nowMs: () => clock.nowMs(), after },
  })
  const put = (receipts: readonly KeptReceipt[]) => {
    outbox.put(maker.hub.publicKey, receipts)
    delivery.onReceipts()
  }
  /** Lets the next timer fire, and everything that it begins end. */
  const step = async () => {
    clock.step()
    for (let turn = 0; turn < 500; turn += 1) await Promise.resolve()
  }
  return { storage, clock, outbox, scene, delivery, put, step }
}

function fail(why: string): never {
  throw new Error(why)
}

describe('receipts that wait at the hub', () => {
  it('leave soon when the hub is quiet: one call a tenant, one for the ledger', async () => {
    const { outbox, scene, put, step, clock } = open()
    const startedMs = clock.nowMs()
    const [own, others] = [await make(ACME, 3), await make(BETA, 2)]
    put([...own, ...others])
    await step()
    expect(clock.nowMs() - startedMs).toBeLessThanOrEqual(250)
    expect(scene.recorded).toEqual([
      { tenant: ACME, ids: own.map(({ id }) => id) },
      { tenant: BETA, ids: others.map(({ id }) => id) },
    ])
    expect(scene.accepted).toHaveLength(1)
    expect(scene.accepted[0]?.receipts.map(({ consumer }) => consumer)).toEqual(
      Array.from({ length: 5 }, () => PAYER),
    )
    expect(outbox.isEmpty()).toBe(true)
  })

  it('gather for two seconds while nodes have jobs', async () => {
    const { scene, put, step, clock } = open()
    const startedMs = clock.nowMs()
    scene.running = 4
    for (let turn = 0; turn < 7; turn += 1) {
      put(await make(ACME, 2))
      await step()
    }
    expect(scene.recorded).toEqual([])
    put(await make(ACME, 2))
    await step()
    expect(clock.nowMs() - startedMs).toBe(2_000)
    expect(scene.recorded.map(({ ids }) => ids.length)).toEqual([16])
    expect(scene.accepted).toHaveLength(1)
  })

  it('of an absent tenant hold up no others, and are tried again after a pause', async () => {
    const { outbox, scene, put, step, clock } = open()
    scene.failing.add(ACME)
    put([...(await make(ACME, 2)), ...(await make(BETA, 1))])
    await step()
    expect(scene.recorded.map(({ tenant }) => tenant)).toEqual([BETA])
    expect(outbox.size()).toBe(2)
    const failedAtMs = clock.nowMs()
    scene.failing.clear()
    await step()
    expect(clock.nowMs() - failedAtMs).toBe(2_000)
    expect(scene.recorded.map(({ tenant, ids }) => [tenant, ids.length])).toEqual([
      [BETA, 1],
      [ACME, 2],
    ])
    expect(outbox.isEmpty()).toBe(true)
  })

  it('of an absent tenant hold up no others, however many rows they share', async () => {
    const { outbox, scene, put, step } = open()
    scene.failing.add(ACME)
    for (let row = 0; row < 12; row += 1) put([...(await make(ACME, 1)), ...(await make(BETA, 63))])
    await step()
    await step()
    expect(outbox.size()).toBe(12)
    put(await make(BETA, 5))
    await step()
    expect(outbox.size()).toBe(12)
    scene.failing.clear()
    await step()
    expect(outbox.isEmpty()).toBe(true)
  })

  it('stay when their row cannot be read, which is told once and holds up none of the others', async () => {
    const { outbox, storage, put, step, scene } = open()
    const [lost, behind] = [await make(ACME, 2), await make(ACME, 3)]
    put(lost)
    storage.sql.exec('UPDATE outbox SET receipts = zeroblob(3)')
    put(behind)
    await step()
    await step()
    expect(scene.recorded.flatMap(({ ids }) => ids)).toEqual(behind.map(({ id }) => id))
    expect(outbox.size()).toBe(2)
    put(await make(BETA, 1))
    await step()
    expect(scene.recorded).toHaveLength(2)
    expect(scene.errors).toEqual(['outbox.row-unreadable'])
    expect(storage.sql.exec('SELECT size FROM outbox').toArray()).toEqual([{ size: 2 }])
    const { ticket } = lost[0] ?? fail('one was lost')
    expect(outbox.holdsJob(ACME, ticket.jobId)).toBe(true)
    // Nothing that could be delivered is left, so no delivery is planned.
    expect(outbox.isEmpty()).toBe(true)
  })

  it('leave a few at a time while nodes have jobs, and the hub pauses after each of these slices', async () => {
    const { outbox, put, step, scene } = open()
    scene.running = 1
    const receipts = await make(ACME, 2 * SLICE_RECEIPTS.busy + 8)
    for (let at = 0; at < receipts.length; at += 9) put(receipts.slice(at, at + 9))
    while (scene.recorded.length === 0) await step()
    expect(outbox.isEmpty()).toBe(true)
    const calls = [
      ...scene.recorded.map(({ ids }) => ids),
      ...scene.accepted.map((group) => group.receipts.map(({ id }) => id)),
    ]
    for (const ids of calls) expect(ids.length).toBeLessThanOrEqual(SLICE_RECEIPTS.busy)
    const all = receipts.map(({ id }) => id)
    expect(calls.flat()).toEqual([...all, ...all])
    // Each receipt is read, recorded and accepted.
    const slices = Math.floor((3 * receipts.length) / (SLICE_RECEIPTS.busy + 9))
    expect(scene.pauses.length).toBeGreaterThanOrEqual(slices)
    expect(new Set(scene.pauses)).toEqual(new Set([SLICE_PAUSE_MS]))
  })

  it('gather also while jobs only follow one another: a hub between two jobs is not quiet', async () => {
    const { scene, put, step, clock } = open()
    const startedMs = clock.nowMs()
    put(await make(ACME, 1))
    for (let turn = 0; turn < 7; turn += 1) {
      put(await make(ACME, 1))
      await step()
    }
    expect(scene.recorded).toEqual([])
    put(await make(ACME, 1))
    await step()
    expect(clock.nowMs() - startedMs).toBe(2_000)
    expect(scene.recorded.map(({ ids }) => ids.length)).toEqual([9])
  })

  it('fill several rows when nodes have padded their records, and none over the limit of the platform', async () => {
    const { outbox, storage, put, step, scene } = open()
    const receipts = await make(ACME, 64)
    const padded = receipts.map((receipt, index) => ({
      ...receipt,
      presence: { record: String(index).padStart(45_000, 'A'), signature: String(index) },
    }))
    put(padded)
    const rows = storage.sql.exec('SELECT size, length(receipts) AS bytes FROM outbox').toArray()
    for (const { bytes } of rows) expect(Number(bytes)).toBeLessThan(2_000_000)
    expect(rows.reduce((sum, { size }) => sum + Number(size), 0)).toBe(64)
    await step()
    expect(scene.recorded.flatMap(({ ids }) => ids)).toEqual(receipts.map(({ id }) => id))
    expect(outbox.isEmpty()).toBe(true)
  })

  it('stay while the ledger is away, and go to tenant and ledger again', async () => {
    const { outbox, scene, put, step } = open()
    scene.failing.add('ledger')
    put(await make(ACME, 3))
    await step()
    expect(outbox.size()).toBe(3)
    scene.failing.clear()
    await step()
    expect(scene.recorded.map(({ ids }) => ids.length)).toEqual([3, 3])
    expect(scene.accepted).toHaveLength(1)
    expect(outbox.isEmpty()).toBe(true)
  })

  it('survive a restart in the middle, and leave by themselves afterwards', async () => {
    const before = open()
    before.scene.failing.add(BETA)
    before.put([...(await make(ACME, 1)), ...(await make(BETA, 2))])
    await before.step()
    expect(before.outbox.size()).toBe(2)
    const after = open(before.storage)
    await after.step()
    // What was delivered of the row is delivered again: both ends take it once.
    expect(after.scene.recorded.map(({ tenant, ids }) => [tenant, ids.length])).toEqual([
      [ACME, 1],
      [BETA, 2],
    ])
    expect(after.outbox.isEmpty()).toBe(true)
  })

  it('are called for by the runtime too, in case that the process ends before its timer', async () => {
    const { scene, put, delivery, outbox } = open()
    put(await make(ACME, 1))
    put(await make(ACME, 1))
    expect(scene.wakes).toEqual([10_000])
    await delivery.flush()
    expect(outbox.isEmpty()).toBe(true)
  })

  it('of a job are handed over at once when somebody asks', async () => {
    const { outbox, put, delivery, scene } = open()
    scene.running = 9
    const [receipt] = await make(ACME, 1)
    if (receipt === undefined) throw new Error('one was made')
    const { jobId } = receipt.ticket
    put([receipt])
    expect(outbox.holdsJob(BETA, jobId)).toBe(false)
    scene.failing.add('ledger')
    expect(await delivery.handOver(ACME, jobId)).toBe(true)
    scene.failing.clear()
    expect(await delivery.handOver(ACME, jobId)).toBe(false)
  })

  it('are shown to their owner alone, whole and with both signatures', async () => {
    const { outbox, put } = open()
    const [receipt, other] = await make(ACME, 2)
    if (receipt === undefined || other === undefined) throw new Error('two were made')
    put([receipt, other])
    const document = outbox.document(ACME, receipt.id)
    expect(outbox.document(BETA, receipt.id)).toBeNull()
    if (document === null) throw new Error('it is there')
    const checks = await checkAuthenticity(document.receipt, DOMAIN)
    expect(checks.map(({ ok }) => ok)).toEqual([true, true, true, true])
  })
})

describe('a hub', () => {
  it('signs and keeps receipts that are ready together as one row, with one signature', async () => {
    const { outbox, storage } = open()
    let signatures = 0
    const signer = {
      publicKey: maker.hub.publicKey,
      sign(digest: Bytes32) {
        signatures += 1
        return maker.hub.sign(digest)
      },
    }
    const signing = createReceiptSigning({ signer, domain: DOMAIN, outbox, onReceipts: () => {} })
    const receipts = await make(ACME, 32)
    const ends = receipts.map(() => signing.begin())
    await Promise.all(receipts.map((receipt) => signing.keep(receipt)))
    for (const end of ends) end()
    expect(signatures).toBe(1)
    expect(storage.sql.exec('SELECT size FROM outbox').toArray()).toEqual([{ size: 32 }])
    expect(signing.running()).toBe(0)
    expect(signing.waiting()).toBe(32)
  })

  it('takes no job while more receipts wait than it may keep', () => {
    const { storage } = open()
    storage.sql.exec(
      "INSERT INTO outbox (names, size, receipts) VALUES ('', ?, zeroblob(1))",
      OUTBOX_RECEIPTS,
    )
    const outbox = new Outbox(storage, silentLog)
    const signer = maker.hub
    const signing = createReceiptSigning({ signer, domain: DOMAIN, outbox, onReceipts: () => {} })
    expect(() => signing.begin()).toThrow(expect.objectContaining({ code: 'no_capacity' }))
  })
})
