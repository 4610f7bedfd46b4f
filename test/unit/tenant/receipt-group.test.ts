/** Groups of receipts as a Tenant takes, keeps and erases them, over real SQLite. */
import { bytesToHex } from 'viem'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { invariant } from '#shared/base/errors.ts'
import { newJobId, randomBytes, TenantId, type Bytes32 } from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { evidenceHash, placeOf } from '#shared/place/evidence.ts'
import { RECEIPT_LAYOUT } from '#shared/receipt/receipt.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import {
  createReceiptMaker,
  EU_POLICY,
  groupOf,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import { createRandom } from '#test/support/random.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { observedInGermany } from '#test/support/storage/bundle-source.ts'
import { codeOf } from '#test/support/storage/code-of.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const ISSUED_MS = 1_800_000_000_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

let maker: ReceiptMaker
let storage: TestStorage
let core: TenantCore
let nowMs: number
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN, 3)
})
beforeEach(async () => {
  storage = createSqliteStorage()
  nowMs = ISSUED_MS
  core = createTenantCore({ storage, nowMs: () => nowMs, random: randomBytes })
  await core.keys.create({ tenant: TENANT, scopes: ['infer'] })
})

const policyKept = (days: number): CompiledPolicy =>
  compilePolicy(asPolicy({ id: `kept-${days}`, compute: { allow: ['EU'] }, retentionDays: days }), {
    tenant: TENANT,
    version: 1,
  })

const rowsOf = (table: string) => storage.sql.exec(`SELECT * FROM ${table}`).toArray()

/** Everything in the database as hex and text. */
function everything(): string {
  const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray()
  const values = tables
    .flatMap((row) => rowsOf(String(row['name'])))
    .flatMap((row) => Object.values(row))
  return values
    .map((value) => (value instanceof Uint8Array ? bytesToHex(value) : String(value)))
    .join('\n')
}

async function statementsFor(count: number) {
  const group = groupOf(
    (await maker.makeAll(Array.from({ length: count }, (_, i) => ({ node: i % 3 })))).map(
      (receipt) => ({ receipt }),
    ),
  )
  const statements: string[] = []
  storage.beforeStatement = (query) => void statements.push(query.trimStart())
  core.receipts.record(group)
  storage.beforeStatement = () => {}
  return {
    all: statements.length,
    writes: statements.filter((query) => /^(INSERT|UPDATE|DELETE)/.test(query)).length,
  }
}

describe('a group', () => {
  it('is written by as few statements with 64 receipts as with one', async () => {
    await statementsFor(3)
    const one = await statementsFor(1)
    const full = await statementsFor(64)
    expect(full).toEqual(one)
    expect(full.writes).toBeLessThanOrEqual(7)
    expect(full.all).toBeLessThanOrEqual(16)
    expect(rowsOf('receipts')).toHaveLength(68)
    expect(rowsOf('named_records').map((row) => row['kind'])).toEqual([
      'policy',
      'presence',
      'presence',
      'presence',
    ])
  })

  it('gives back every document exactly as node and hub signed it', async () => {
    const random = createRandom(5)
    const policies = [EU_POLICY, policyKept(7), policyKept(90)]
    const evidence = maker.nodes.map((_, node) => node)
    const plain = await maker.makeAll(evidence.map((node) => ({ node })))
    const records = plain.map(({ receipt }) =>
      observedInGermany(receipt.ticket.nodeId, ISSUED_MS - 500),
    )
    const wishes = Array.from({ length: 90 }, () => {
      const node = random.below(3)
      const record = records[node]
      invariant(record, 'each node has a record')
      return {
        node,
        policy: policies[random.below(3)] ?? EU_POLICY,
        ...(random.chance(0.5)
          ? { place: placeOf(record, { trust: 'public', voucher: null }) }
          : {}),
      }
    })
    const receipts = await maker.makeAll(wishes)
    const salts = receipts.map(() => bytesToHex(randomBytes(32)))
    for (let at = 0; at < receipts.length;) {
      const count = 1 + random.below(40)
      const entries = receipts.slice(at, at + count).map((receipt, i) => {
        const salt = salts[at + i]
        return salt === undefined ? { receipt } : { receipt, salt }
      })
      core.receipts.record(groupOf(entries, records))
      at += count
    }
    for (const [i, receipt] of receipts.entries())
      expect(core.receipts.find(receipt.id)).toEqual({ receipt, salt: salts[i] })
    const size = core.log.head()?.size ?? 0
    const page = { from: 0, to: size, size, selection: NONE }
    const { evidence: kept } = core.bundles.jobs(page)
    expect(new Map(kept.map(({ hash, record }) => [hash, record]))).toEqual(
      new Map(records.map((record) => [evidenceHash(record), record])),
    )
  })

  it('tells the account of the tenant, and the receipts of jobs that have an earlier one', async () => {
    const consumer = `0x${'c0'.repeat(20)}` as const
    const jobId = newJobId()
    const [first, second, other] = await maker.makeAll([{ jobId }, { jobId, node: 1 }, {}])
    invariant(first && second && other, 'three receipts were made')
    const ids = (later: readonly Bytes32[]) => ({ later, consumer: null })
    expect(core.receipts.record(groupOf([{ receipt: first }, { receipt: second }]))).toEqual(
      ids([second.id]),
    )
    await core.keys.create({ tenant: TENANT, scopes: ['infer'], consumer })
    const again = groupOf([{ receipt: other }, { receipt: second }, { receipt: first }])
    expect(core.receipts.record(again)).toEqual({ later: [second.id], consumer })
  })

  it.each<[string, string, (group: ReceiptGroup) => ReceiptGroup]>([
    [
      'has a policy under a wrong hash',
      'invalid_request',
      (group) => ({
        ...group,
        policies: group.policies.map((policy) => ({ ...policy, retentionDays: 3_650 })),
      }),
    ],
    ['lacks a policy', 'invalid_request', (group) => ({ ...group, policies: [] })],
    ['lacks a presence record', 'invalid_request', (group) => ({ ...group, presences: [] })],
    [
      'has a receipt with a byte too many',
      'invalid_request',
      (group) => withLast(group, (bytes) => new Uint8Array([...bytes, 0])),
    ],
    [
      'has a receipt that is cut short',
      'invalid_request',
      (group) => withLast(group, (bytes) => bytes.subarray(0, -1)),
    ],
  ])('that %s is refused as a whole', async (_what, code, change) => {
    const receipts = await maker.makeAll([{}, {}])
    const group = change(groupOf(receipts.map((receipt) => ({ receipt }))))
    await expectRefused(group, code)
  })

  it('with the receipt of another tenant is refused as a whole', async () => {
    const stranger = TenantId.parse('globex')
    const foreign = compilePolicy(asPolicy({ id: 'eu-only', compute: { allow: ['EU'] } }), {
      tenant: stranger,
      version: 1,
    })
    const own = await maker.make()
    for (const wish of [{ policy: foreign }, { policy: foreign, ticket: { tenant: TENANT } }]) {
      const receipt = await maker.make(wish)
      await expectRefused(groupOf([{ receipt: own }, { receipt }]), 'forbidden')
    }
  })
})

async function expectRefused(group: ReceiptGroup, code: string): Promise<void> {
  const before = everything()
  expect(codeOf(() => core.receipts.record(group))).toBe(code)
  expect(everything()).toBe(before)
}

function withLast(group: ReceiptGroup, change: (bytes: Uint8Array) => Uint8Array): ReceiptGroup {
  const last = group.receipts.length - 1
  return {
    ...group,
    receipts: group.receipts.map((each, i) =>
      i === last ? { ...each, receipt: change(each.receipt) } : each,
    ),
  }
}

const NONE = { fromMs: null, toMs: null, policy: null, type: null, job: null }

describe('erasure and retention', () => {
  it('[AU1] leave no byte of an erased receipt, and keep the others of its group', async () => {
    const output = bytesToHex(randomBytes(32))
    const [gone, kept] = await maker.makeAll([{ receipt: { outputCommitment: output } }, {}])
    invariant(gone && kept, 'two receipts were made')
    core.receipts.record(groupOf([{ receipt: gone }, { receipt: kept }]))
    const bytes = RECEIPT_LAYOUT.encode(DOMAIN, gone.receipt)
    expect(everything()).toContain(bytesToHex(bytes))
    core.receipts.erase(gone.receipt.ticket.jobId, null)
    // Its id stays as a hash in the path of its neighbour, whose signature needs it.
    for (const trace of [bytesToHex(bytes), output.slice(2), gone.receipt.ticket.jobId])
      expect(everything()).not.toContain(trace)
    expect(core.receipts.find(gone.id)).toBeNull()
    expect(core.receipts.find(kept.id)?.receipt).toEqual(kept)
  })

  it('[AU9] keep a policy and a presence as long as the last receipt that names them', async () => {
    const policy = policyKept(7)
    const first = await maker.make({ policy })
    const later = await maker.make({
      policy,
      ticket: { issuedAtMs: ISSUED_MS + DAY_MS + 1, expiresAtMs: ISSUED_MS + DAY_MS + 60_000 },
    })
    core.receipts.record(groupOf([{ receipt: later }]))
    core.receipts.record(groupOf([{ receipt: first }]))
    nowMs = ISSUED_MS + 7 * DAY_MS
    expect(core.sweep()).toBe(ISSUED_MS + 8 * DAY_MS + 1)
    expect(core.receipts.find(first.id)).toBeNull()
    expect(core.receipts.find(later.id)?.receipt).toEqual(later)
    nowMs = ISSUED_MS + 8 * DAY_MS + 1
    const lastMs = core.sweep()
    expect(rowsOf('receipts')).toEqual([])
    expect(lastMs).toBe(ISSUED_MS + 8 * DAY_MS + HOUR_MS)
    nowMs = lastMs ?? 0
    expect(core.sweep()).toBeUndefined()
    expect(rowsOf('named_records')).toEqual([])
  })
})
