/** A tenant's audit log over real SQLite. */
import { NOT_NARROWED } from '#shared/audit/bundle.ts'
import { sha256, stringToBytes, toHex } from 'viem'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { checkpointLeaf, leafBytes, logOrigin, type LogEntry } from '#shared/audit/entries.ts'
import {
  createLogSigner,
  isNoteSignedBy,
  parseLogHead,
  parseNote,
} from '#shared/audit/checkpoint.ts'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { AppError } from '#shared/base/errors.ts'
import { newJobId, randomBytes, TenantId, type Bytes32, type JobId } from '#shared/base/ids.ts'
import { commitment } from '#shared/receipt/receipt.ts'
import { leafHash, verifyConsistency, verifyInclusion } from '#shared/proof/tree.ts'
import type { Refusal } from '#worker/protocols/audit.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import { createRandom } from '#test/support/random.ts'
import { codeOf } from '#test/support/storage/code-of.ts'
import {
  createReceiptMaker,
  EU_POLICY,
  groupOf,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { AUDIT_REFUSALS_PER_MINUTE } from '#worker/tenant/log/refusal-store.ts'
import { PHI_AUDIT_DAYS } from '#worker/tenant/log/audit-store.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const SALT: Bytes32 = `0x${'5a'.repeat(32)}`
const DAY_MS = 86_400_000
const ISSUED_MS = 1_800_000_000_000

const acme = TenantId.parse('acme')
const seed = toHex(randomBytes(32))
let maker: ReceiptMaker
let storage: TestStorage
let core: TenantCore
let nowMs: number
let wakes: number[]
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN)
})
beforeEach(async () => {
  storage = createSqliteStorage()
  nowMs = ISSUED_MS
  wakes = []
  core = open()
  await core.keys.create({ tenant: acme, scopes: ['infer'], networks: [] })
})

/** A tenant core on the test's storage. */
const open = () =>
  createTenantCore({
    storage,
    nowMs: () => nowMs,
    random: randomBytes,
    wakeAt: (atMs) => wakes.push(atMs),
    log: { domain: DOMAIN, seed },
  })

const refusal = (change: Partial<Refusal>): Refusal => ({
  jobId: null,
  by: 'key_a',
  code: 'residency_unsatisfiable',
  rule: 'compute.allow',
  policyId: 'default',
  count: 1,
  firstAtMs: nowMs,
  lastAtMs: nowMs,
  ...change,
})

async function place(change: { jobId?: JobId; dataClass?: 'phi' } = {}): Promise<JobId> {
  const jobId = change.jobId ?? newJobId()
  const policy =
    change.dataClass === undefined
      ? EU_POLICY
      : compilePolicy(asPolicy({ id: 'clinic', compute: { allow: ['EU'] }, dataClass: 'phi' }), {
          tenant: acme,
          version: 1,
        })
  core.receipts.record(groupOf([{ receipt: await maker.make({ jobId, policy }), salt: SALT }]))
  return jobId
}

function rootOf(size: number): Bytes32 {
  const entries = rangeOf(core, 0, size)
  expect(entries.length).toBe(size)
  const signed = core.log.head()
  expect(signed?.size).toBeGreaterThanOrEqual(size)
  return signed?.root ?? '0x'
}

const rangeOf = (of: TenantCore, from: number, to: number) =>
  of.bundles.selected({ from, to, size: to, selection: NOT_NARROWED })
const nameOf = (entry: LogEntry) => toHex(leafHash(leafBytes(entry)))
const typesOf = (entries: readonly LogEntry[]) => entries.map(({ type }) => type)

describe('the log', () => {
  it('[AU4] has an admission and a placement for each receipt, and none for a repeated one', async () => {
    const receipt = await maker.make()
    core.receipts.record(groupOf([{ receipt, salt: SALT }]))
    core.receipts.record(groupOf([{ receipt, salt: SALT }]))
    const entries = rangeOf(core, 0, 100)
    expect(typesOf(entries)).toEqual([
      'policy.published',
      'key.created',
      'job.admitted',
      'job.placed',
    ])
    const { detail, salt } = entries[3]?.opening ?? { detail: {}, salt: SALT }
    expect(detail).toMatchObject({ receiptId: receipt.id, place: receipt.receipt.ticket.place })
    const digest = sha256(stringToBytes(canonicalJson(detail)))
    expect(entries[3]?.commitment).toBe(commitment(salt, digest))
    expect(JSON.stringify(entries)).not.toContain(SALT)
  })

  it('[AU2] proves every entry and every earlier state under one signed checkpoint', async () => {
    const heads = [core.log.head()]
    for (let i = 0; i < 9; i += 1) {
      await place()
      heads.push(core.log.head())
    }
    const { note, size, root } = await core.log.checkpoint()
    const parsed = parseNote(note)
    const { publicKey } = await createLogSigner(seed)
    const name = logOrigin(DOMAIN, acme)
    expect(parsed && (await isNoteSignedBy(parsed, { name, publicKey }))).toBe(true)
    expect(parseLogHead(parsed?.text ?? '')).toEqual({ origin: name, size, root })
    for (const entry of rangeOf(core, 0, size)) {
      const index = entry.sequence
      const proof = core.log.inclusion({ index, size })
      expect(verifyInclusion({ index, size, root, leaf: nameOf(entry), proof })).toBe(true)
    }
    for (const head of heads) {
      const [from, fromRoot] = [head?.size ?? 0, head?.root ?? '0x']
      const proof = core.log.consistency({ from, to: size })
      expect(verifyConsistency({ from, to: size, fromRoot, toRoot: root, proof })).toBe(true)
    }
    expect((await core.log.checkpoint()).note).toBe(note)
    expect(rootOf(size)).toBe(root)
  })

  it('[AU2] continues after a restart, and does not depend on how many receipts came at once', async () => {
    const random = createRandom(11)
    const receipts = await maker.makeAll(Array.from({ length: 300 }, () => ({})))
    const entries = receipts.map((receipt) => ({ receipt, salt: SALT }))
    for (let at = 0; at < entries.length;) {
      const count = 1 + random.below(60)
      core.receipts.record(groupOf(entries.slice(at, at + count)))
      at += count
    }
    const again = open()
    const head = again.log.head()
    expect(head?.size).toBe(602)
    const root = head?.root ?? '0x'
    for (const entry of rangeOf(again, 0, 500).filter((_, i) => i % 37 === 0)) {
      const at = { index: entry.sequence, size: 602 }
      const proof = again.log.inclusion(at)
      expect(verifyInclusion({ ...at, root, leaf: nameOf(entry), proof })).toBe(true)
    }
  })

  it('[AU3] adds nothing when the logged change fails', () => {
    const before = core.log.head()
    storage.beforeStatement = () => {
      throw new AppError('internal', 'the disk is full')
    }
    const policy = asPolicy({ id: 'x', compute: { allow: ['DE'] } })
    expect(codeOf(() => core.policies.publish(policy))).toBe('internal')
    storage.beforeStatement = () => {}
    expect(core.log.head()).toEqual(before)
  })

  it('[AU3] never goes back in time, whatever the clock does', async () => {
    nowMs -= 60_000
    await place()
    const times = rangeOf(core, 0, 10).map(({ atMs }) => atMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it('names the key that made a change', () => {
    const policy = asPolicy({ id: 'pinned', compute: { allow: ['DE'] } })
    const { compiled } = core.policies.publish(policy, 'key_acme_0123456789ab')
    const entry = rangeOf(core, 0, 10).at(-1)
    expect(entry?.opening?.detail).toEqual({
      subject: 'pinned@1',
      policyHash: compiled.hash,
      by: 'key_acme_0123456789ab',
    })
  })

  it('refuses proofs of missing entries, and signs nothing without a key', async () => {
    expect(codeOf(() => core.log.inclusion({ index: 2, size: 2 }))).toBe('invalid_request')
    expect(codeOf(() => core.log.consistency({ from: 3, to: 2 }))).toBe('invalid_request')
    expect(codeOf(() => core.log.consistency({ from: 1, to: 9 }))).toBe('invalid_request')
    const plain = createTenantCore({ storage, nowMs: () => nowMs, random: randomBytes })
    await expect(plain.log.checkpoint()).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('the search', () => {
  it('finds by type, job and time, newest first, page by page', async () => {
    const jobs: JobId[] = []
    for (let i = 0; i < 5; i += 1) {
      nowMs += 1_000
      jobs.push(await place())
    }
    const placed = core.log.search({ type: 'job.placed', limit: 3 })
    expect(placed.entries.map(({ opening }) => opening?.detail['jobId'])).toEqual(
      jobs.slice(2).toReversed(),
    )
    const rest = core.log.search({ type: 'job.placed', limit: 3, before: placed.next ?? 0 })
    expect(rest.entries.map(({ opening }) => opening?.detail['jobId'])).toEqual(
      jobs.slice(0, 2).toReversed(),
    )
    expect(rest.next).toBeNull()
    const own = core.log.search({ jobId: jobs[1], limit: 10 })
    expect(typesOf(own.entries)).toEqual(['job.placed', 'job.admitted'])
    const [fromMs, toMs] = [ISSUED_MS + 2_000, ISSUED_MS + 3_000]
    expect(core.log.search({ fromMs, toMs, limit: 10 }).entries.length).toBe(4)
  })
})

describe('refusals', () => {
  it('[AU5] are logged one by one up to a limit per key and minute, and the rest as one count', () => {
    const flood = AUDIT_REFUSALS_PER_MINUTE + 70
    for (let i = 0; i < flood; i += 1) core.log.recordRefusals([refusal({})])
    core.log.recordRefusals([refusal({ by: 'key_b', count: 4 })])
    const { entries } = core.log.search({ type: 'job.refused', limit: 500 })
    expect(entries.length).toBe(AUDIT_REFUSALS_PER_MINUTE + 1)
    nowMs += 60_000
    expect(wakes.some((atMs) => atMs <= nowMs)).toBe(true)
    core.sweep()
    core.sweep()
    const counts = core.log
      .search({ type: 'job.refused', limit: 500 })
      .entries.map(({ opening }) => Number(opening?.detail['count']))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(flood + 4)
    expect(counts.length).toBe(AUDIT_REFUSALS_PER_MINUTE + 2)
  })
})

describe('erasure', () => {
  it('[AU1] [AU8] removes receipt, detail and salt, keeps every leaf, and returns its proof', async () => {
    const jobId = await place()
    const other = await place()
    const before = core.log.head()
    const leaves = rangeOf(core, 0, 6).map(nameOf)
    const erased = core.receipts.erase(jobId, 'key_acme_0123456789ab')
    expect(erased).toMatchObject({ entries: [2, 3], receipts: 1, held: [] })
    const kept = JSON.stringify(
      ['audit_log', 'receipts', 'named_records', 'placements', 'erased_jobs', 'settings'].map(
        (table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
      ),
    )
    expect(kept).not.toContain(jobId)
    expect(kept).toContain(other)
    expect(rangeOf(core, 0, 6).map(nameOf)).toEqual(leaves)
    const { size, root } = await core.log.checkpoint()
    const [from, fromRoot] = [before?.size ?? 0, before?.root ?? '0x']
    const proof = core.log.consistency({ from, to: size })
    expect(verifyConsistency({ from, to: size, fromRoot, toRoot: root, proof })).toBe(true)
    const [entry] = rangeOf(core, erased.sequence, erased.sequence + 1)
    expect(entry?.opening?.detail['job']).toBe(
      commitment(erased.salt, sha256(stringToBytes(jobId))),
    )
    expect(codeOf(() => core.receipts.erase(jobId, null))).toBe('not_found')
  })

  it('[AU8] of a batch is one entry for all its jobs, and none when nothing is kept', async () => {
    const receipts = await Promise.all([maker.make(), maker.make(), maker.make()])
    core.receipts.record(groupOf(receipts.map((receipt) => ({ receipt, salt: SALT }))))
    const [first, second, third] = receipts.map(({ id }) => id)
    const ids = [first ?? SALT, second ?? SALT, SALT]
    const erased = core.receipts.eraseReceipts('batch_1', ids, null)
    expect(erased).toMatchObject({ subject: 'batch_1', receipts: 2, entries: [2, 3, 4, 5] })
    expect(core.receipts.find(first ?? SALT)).toBeNull()
    expect(core.receipts.find(third ?? SALT)).not.toBeNull()
    expect(core.receipts.eraseReceipts('batch_1', ids, null)).toBeNull()
  })

  it('[AU8] is not undone when a node sends its receipt again', async () => {
    const receipt = await maker.make()
    const { jobId } = receipt.receipt.ticket
    core.receipts.record(groupOf([{ receipt, salt: SALT }]))
    core.receipts.erase(jobId, null)
    const before = core.log.head()
    core.receipts.record(groupOf([{ receipt, salt: SALT }]))
    expect(core.receipts.find(receipt.id)).toBeNull()
    expect(core.log.head()).toEqual(before)
  })

  it('[AU10] of a phi job keeps its refusals', () => {
    const clinic = { id: 'clinic', compute: { allow: ['EU'] } }
    core.policies.publish(asPolicy({ ...clinic, dataClass: 'phi', nodeTrust: 'dedicated' }))
    const jobId = newJobId()
    core.log.recordRefusals([refusal({ jobId, rule: 'data_class.phi', policyId: 'clinic' })])
    expect(() => core.receipts.erase(jobId, null)).toThrow(/may be erased/)
    const [kept] = core.log.search({ jobId, limit: 1 }).entries
    expect(kept?.opening?.detail).toMatchObject({ rule: 'data_class.phi' })
  })

  it('[AU10] of a phi job removes the receipt and keeps the audit events six years', async () => {
    const jobId = await place({ dataClass: 'phi' })
    const untilMs = ISSUED_MS + PHI_AUDIT_DAYS * DAY_MS
    const erased = core.receipts.erase(jobId, null)
    expect(erased).toMatchObject({ receipts: 1, entries: [] })
    expect(erased.held).toEqual([2, 3].map((sequence) => ({ sequence, untilMs })))
    nowMs = untilMs - 1
    core.sweep()
    expect(core.log.search({ jobId, limit: 9 }).entries.length).toBe(2)
    nowMs = untilMs
    core.sweep()
    expect(core.log.search({ jobId, limit: 9 }).entries).toEqual([])
  })
})

describe('retention', () => {
  it('[AU9] erases what is due at its time, and logs which entries were erased', async () => {
    await place()
    const dueMs = ISSUED_MS + EU_POLICY.retentionDays * DAY_MS
    expect(Math.min(...wakes)).toBe(dueMs)
    nowMs = dueMs - 1
    expect(core.sweep()).toBe(dueMs)
    expect(rangeOf(core, 0, 9).filter(({ opening }) => opening === null)).toEqual([])
    nowMs = dueMs
    expect(core.sweep()).toBeUndefined()
    const entries = rangeOf(core, 0, 9)
    expect(entries.filter(({ opening }) => opening === null).map(({ type }) => type)).toEqual([
      'job.admitted',
      'job.placed',
    ])
    const erased = entries.filter(({ opening }) => opening === null)
    expect(entries.at(-1)?.opening?.detail).toEqual({
      receipts: 1,
      entries: erased.map(({ sequence }) => sequence),
    })
    expect(storage.sql.exec('SELECT * FROM receipts').toArray()).toEqual([])
    core.sweep()
    expect(rangeOf(core, 0, 9).length).toBe(entries.length)
  })
})

describe('a checkpoint leaf', () => {
  it('is bound to tenant, size and root', () => {
    const leaf = { tenant: SALT, size: 3, root: SALT }
    const others = [
      { ...leaf, size: 4 },
      { ...leaf, root: seed },
      { ...leaf, tenant: seed },
    ]
    for (const other of others) expect(checkpointLeaf(other)).not.toBe(checkpointLeaf(leaf))
  })
})
