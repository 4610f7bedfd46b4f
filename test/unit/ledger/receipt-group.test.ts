/** Groups of receipts as a Ledger takes them, over real SQLite and a modelled chain. */
import { describe, expect, it, vi } from 'vitest'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { invariant } from '#shared/base/errors.ts'
import { newJobId, type Bytes32, type JobId } from '#shared/base/ids.ts'
import { countryBit, countrySet } from '#shared/law/region.ts'
import type * as signature from '#shared/proof/signature.ts'
import { groupOf, EU_POLICY, type ReceiptWish } from '#test/support/hub/receipts.ts'
import { createRandom, type Random } from '#test/support/random.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { CONSUMER, openLedger, settleAll, useLedgerBench } from '#test/support/storage/ledger.ts'
import type { AcceptOutcome } from '#worker/protocols/ledger.ts'

const asked = vi.hoisted(() => ({ verifications: 0 }))
vi.mock('#shared/proof/signature.ts', async (actual) => {
  const real = await actual<typeof signature>()
  const verifySignature: typeof real.verifySignature = (...args) => {
    asked.verifications += 1
    return real.verifySignature(...args)
  }
  return { ...real, verifySignature }
})

const bench = useLedgerBench()

async function groupFrom(wishes: readonly ReceiptWish[]): Promise<ReceiptGroup> {
  const made = await bench.maker.makeAll(wishes)
  return groupOf(made.map((receipt) => ({ receipt, consumer: CONSUMER })))
}

const wishes = (count: number): ReceiptWish[] =>
  Array.from({ length: count }, (_, i) => ({ node: i % 2 }))

describe('a group', () => {
  it('of 64 receipts costs one signature check and one written statement, as one of a single receipt does', async () => {
    const ledger = bench.start()
    await ledger.accept(await groupFrom(wishes(3)), [])
    const costs = []
    for (const count of [1, 64]) {
      const group = await groupFrom(wishes(count))
      const statements: string[] = []
      asked.verifications = 0
      bench.storage.beforeStatement = (query) => void statements.push(query.trimStart())
      const outcomes = await ledger.accept(group, [])
      bench.storage.beforeStatement = () => {}
      expect(outcomes.map(({ status }) => status)).toEqual(Array(count).fill('pending'))
      const writes = statements.filter((query) => /^(INSERT|UPDATE|DELETE)/.test(query))
      const { verifications } = asked
      costs.push({ verifications, writes: writes.length, statements: statements.length })
    }
    expect(costs[1]).toEqual(costs[0])
    expect(costs[1]).toMatchObject({ verifications: 1, writes: 1 })
    expect(costs[1]?.statements).toBeLessThanOrEqual(6)
  })

  it('settles as one batch, in the order of its receipts', async () => {
    const ledger = bench.start()
    const group = await groupFrom(wishes(5))
    await ledger.accept(group, [])
    await settleAll(bench, ledger)
    const statuses = await ledger.status(group.receipts.map(({ id }) => id))
    expect(statuses.map(({ settlement }) => settlement?.index)).toEqual([0, 1, 2, 3, 4])
    expect(statuses.map(({ settlement }) => settlement?.receiptCount)).toEqual([5, 5, 5, 5, 5])
    const { claimable } = await ledger.earnings(bench.maker.nodes[0]?.publicKey ?? EMPTY_KEY)
    expect(claimable).toMatchObject({ cumulativeMicroUsd: '63', size: 2 })
  })

  it('[L2] keeps nothing of receipts that are not authentic, and everything of those beside them', async () => {
    const ledger = bench.start()
    const group = await groupFrom(wishes(5))
    const [cut, renamed, moved, unsigned, good] = group.receipts
    invariant(cut && renamed && moved && unsigned && good, 'five receipts')
    const receipts = [
      { ...cut, receipt: cut.receipt.slice(0, -1) },
      { ...renamed, id: good.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')) as Bytes32 },
      { ...moved, hubSignature: { ...moved.hubSignature, index: 3 } },
      { ...unsigned, hubSignature: unsigned.nodeSignature },
      good,
    ]
    const outcomes = await ledger.accept({ ...group, receipts }, [])
    expect(outcomes.map(({ refusal }) => refusal)).toEqual([
      'receipt.malformed',
      'receipt.id',
      'hub.signature',
      'hub.signature',
      null,
    ])
    expect(await ledger.status(receipts.map(({ id }) => id))).toMatchObject([{ id: good.id }])
    const again = await ledger.accept(group, [])
    expect(again.map(({ status }) => status)).toEqual(Array(5).fill('pending'))
  })

  it('[L4] is judged by its policy’s own bytes, not by the hash that the group gives them', async () => {
    const ledger = bench.start()
    const group = await groupFrom([{ place: { country: countryBit('US') } }, {}])
    const wider = { ...EU_POLICY, compute: countrySet(['WORLD']) }
    const outcomes = await ledger.accept({ ...group, policies: [wider] }, [])
    expect(outcomes.map(({ refusal }) => refusal)).toEqual(['policy.hash', 'policy.hash'])
    await settleAll(bench, ledger)
    expect(bench.chain.posted).toEqual([])
  })

  it('may leave out a policy that the Ledger keeps, which then judges it', async () => {
    const ledger = bench.start()
    await ledger.accept(await groupFrom([{}]), [])
    const group = await groupFrom([{ place: { country: countryBit('US') } }, {}])
    const outcomes = await ledger.accept({ ...group, policies: [] }, [])
    expect(outcomes.map(({ refusal }) => refusal)).toEqual(['compute.allow', null])
  })

  it('[L3] pays none of the receipts that the tenant calls later', async () => {
    const ledger = bench.start()
    const group = await groupFrom(wishes(3))
    const [, later] = group.receipts.map(({ id }) => id)
    invariant(later, 'three receipts')
    const outcomes = await ledger.accept(group, [later])
    expect(outcomes.map(({ refusal }) => refusal)).toEqual([null, 'duplicate_job', null])
  })

  it('has a bound', async () => {
    const group = await groupFrom([{}])
    const receipts = Array.from({ length: 1_025 }, () => group.receipts).flat()
    const accepted = bench.start().accept({ ...group, receipts }, [])
    await expect(accepted).rejects.toMatchObject({ code: 'too_large' })
  })
})

const EMPTY_KEY = { x: '0x', y: '0x' } as const
const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1)

/** Receipts of a few jobs, some outside the policy, some forged, some more than once. */
async function drawGroup(random: Random): Promise<ReceiptGroup> {
  const jobs: JobId[] = Array.from({ length: 6 }, () => newJobId((size) => random.bytes(size)))
  const drawn = Array.from({ length: 4 + random.below(28) }, (): ReceiptWish => {
    const jobId = jobs[random.below(jobs.length)] ?? newJobId()
    const country = countryBit(random.chance(0.3) ? 'US' : 'DE')
    return { jobId, attempt: 1 + random.below(3), node: random.below(2), place: { country } }
  })
  const made = await bench.maker.makeAll(drawn)
  const consumer = random.chance(0.5) ? CONSUMER : null
  const group = groupOf(made.map((receipt) => ({ receipt, consumer })))
  const receipts = group.receipts.map((each) =>
    random.chance(0.1) ? { ...each, hubSignature: each.nodeSignature } : each,
  )
  return { ...group, receipts: [...receipts, ...receipts.slice(random.below(receipts.length))] }
}

const rowsOf = (storage: TestStorage) =>
  storage.sql
    .exec('SELECT id, job_id, consumer, amount, state, refusal FROM receipts ORDER BY sequence')
    .toArray()
    .map((row) => (row['state'] === 'pending' ? row : { ...row, consumer: null }))

describe('a Ledger that takes receipts in groups', () => {
  it.each(SEEDS)('keeps what one keeps that takes them one by one (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const storages = [createSqliteStorage(), createSqliteStorage()] as const
    const [together, alone] = storages.map((storage) =>
      openLedger({ storage, chain: bench.chain, nowMs: () => bench.nowMs }),
    )
    invariant(together && alone, 'two ledgers')
    for (let round = 0; round < 3; round += 1) {
      const group = await drawGroup(random)
      const later = group.receipts.map(({ id }) => id).filter(() => random.chance(0.1))
      const expected: AcceptOutcome[] = []
      for (const each of group.receipts)
        expected.push(...(await alone.accept({ ...group, receipts: [each] }, later)))
      expect(await together.accept(group, later)).toEqual(expected)
      expect(rowsOf(storages[0])).toEqual(rowsOf(storages[1]))
    }
    for (const storage of storages) storage.close()
  })
})
