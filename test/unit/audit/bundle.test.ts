/** Bundles as they are streamed: whole ranges, cut by time, narrowed by policy and type, a bounded page at a time. */
import { toHex } from 'viem'
import { beforeAll, describe, expect, it } from 'vitest'
import { NOT_NARROWED, type AuditBundle } from '#shared/audit/bundle.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { randomBytes, type Bytes32 } from '#shared/base/ids.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { bundleSourceOf } from '#test/support/storage/bundle-source.ts'
import { collectBundle, type BundleWish } from '#test/support/storage/collect-bundle.ts'
import { remote } from '#test/support/remote.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createReceiptMaker, groupOf, type ReceiptMaker } from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { bundleText, openBundle } from '#worker/api/audit/collect-bundle.ts'
import type { ReceiptStatus } from '#worker/protocols/ledger.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
import { AUDIT_BUNDLE_PAGE } from '#worker/protocols/audit.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const START_MS = 1_800_000_000_000
const SALT = `0x${'5a'.repeat(32)}` as const

let maker: ReceiptMaker
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN)
})

/** A tenant with the policies eu and dach, whose clock the test sets. */
async function createTenant() {
  const clock = { nowMs: START_MS }
  const core = createTenantCore({
    storage: createSqliteStorage(),
    nowMs: () => clock.nowMs,
    random: randomBytes,
    log: { domain: DOMAIN, seed: toHex(randomBytes(32)) },
  })
  await core.keys.create({ tenant: TENANT, scopes: ['infer'] })
  const published = {
    eu: core.policies.publish(
      asPolicy({ id: 'eu', compute: { allow: ['EU'] }, dataClass: 'public' }),
    ),
    dach: core.policies.publish(
      asPolicy({ id: 'dach', compute: { allow: ['DE', 'AT', 'CH'] }, dataClass: 'public' }),
    ),
  }
  const run = async (name: keyof typeof published) => {
    const receipt = await maker.make({ policy: published[name].compiled })
    core.receipts.record(groupOf([{ receipt, salt: SALT }]))
    return receipt
  }
  return { core, clock, run, source: bundleSourceOf(remote(core)) }
}

const settledIn = (batchId: number, id: Bytes32): ReceiptStatus => ({
  id,
  status: 'settled',
  refusal: null,
  settlement: {
    batchId,
    receiptRoot: id,
    index: 0,
    receiptCount: 1,
    proof: [],
    transactionHash: id,
    blockNumber: batchId,
  },
})

const opened = ({ entries }: AuditBundle) =>
  entries.filter(({ opening }) => opening !== null).map(({ sequence }) => sequence)
const sequences = (list: readonly { readonly sequence: number }[]) =>
  list.map(({ sequence }) => sequence)

describe('a bundle', () => {
  it('covers the whole log by default, with the text of each policy that a job names', async () => {
    const { core, run, source } = await createTenant()
    const [first, second] = [await run('eu'), await run('dach')]
    const size = core.log.head()?.size ?? 0
    const bundle = await collectBundle(source, { selection: {} })
    expect(bundle.range).toEqual({ from: 0, to: size })
    expect(sequences(bundle.entries)).toEqual(Array.from({ length: size }, (_, i) => i))
    expect(bundle.jobs.map(({ receipt }) => receipt.id)).toEqual([first.id, second.id])
    expect(bundle.policies.map(({ policy, version }) => `${policy.id}@${version}`)).toEqual(
      expect.arrayContaining(['eu@1', 'dach@1']),
    )
    for (const { policy, version } of bundle.policies) {
      const { hash } = compilePolicy(policy, { tenant: TENANT, version })
      expect([first.policy.hash, second.policy.hash]).toContain(hash)
    }
  })

  it('narrowed to a policy or type keeps every leaf and opens only the matching entries', async () => {
    const { core, run, source } = await createTenant()
    await run('eu')
    const { id, receipt } = await run('dach')
    await run('eu')
    core.log.recordRefusals([refusal('dach'), refusal('eu')])
    const size = core.log.head()?.size ?? 0
    const dach = await collectBundle(source, { selection: { policy: 'dach' } })
    expect(dach.entries).toHaveLength(size)
    expect(dach.jobs.map(({ receipt }) => receipt.id)).toEqual([id])
    expect(dach.policies.map(({ policy }) => policy.id)).toEqual(['dach'])
    const types = dach.entries.filter(({ opening }) => opening !== null).map(({ type }) => type)
    expect(types).toEqual(['job.admitted', 'job.placed', 'job.refused'])
    const placed = await collectBundle(source, { selection: { type: 'job.placed' } })
    expect(placed.jobs).toHaveLength(3)
    expect(opened(placed)).toHaveLength(3)
    const none = await collectBundle(source, { selection: { type: 'key.revoked' } })
    expect([opened(none), none.jobs, none.policies]).toEqual([[], [], []])
    core.receipts.erase(receipt.ticket.jobId, null)
    const after = await collectBundle(source, { selection: { type: 'key.revoked' } })
    expect(opened(after)).toEqual([size])
    expect(after.entries.at(-1)).toMatchObject({ type: 'job.erased', opening: expect.anything() })
    expect(none.entries).toHaveLength(size)
  })

  it('cut by time has the leaves beside the range, even when the range is empty', async () => {
    const { clock, run, source } = await createTenant()
    for (const minute of [1, 2, 3]) {
      clock.nowMs = START_MS + minute * 60_000
      await run('eu')
    }
    const at = (minute: number) => START_MS + minute * 60_000
    const cut = (from: number, to: number): BundleWish => ({
      from: { atMs: from },
      to: { atMs: to },
      selection: { fromMs: from, toMs: to },
    })
    const { range, entries, edges, jobs } = await collectBundle(source, cut(at(2), at(2)))
    expect(jobs).toHaveLength(1)
    expect(entries.map(({ atMs }) => atMs)).toEqual([at(2), at(2)])
    expect(sequences(edges)).toEqual([range.from - 1, range.to])
    expect(edges.map(({ atMs }) => atMs)).toEqual([at(1), at(3)])
    expect(edges.every(({ opening }) => opening === null)).toBe(true)
    const quiet = await collectBundle(source, cut(at(2) + 1, at(3) - 1))
    expect([quiet.entries, quiet.jobs]).toEqual([[], []])
    expect(quiet.edges.map(({ atMs }) => atMs)).toEqual([at(2), at(3)])
  })

  it('has the later entries that say what was erased in its range', async () => {
    const { core, run, source } = await createTenant()
    const { receipt } = await run('eu')
    await run('eu')
    const to = core.log.head()?.size ?? 0
    core.receipts.erase(receipt.ticket.jobId, null)
    const bundle = await collectBundle(source, { from: 0, to })
    expect(bundle.erasures.map(({ type, sequence }) => [type, sequence])).toEqual([
      ['job.erased', to],
    ])
    expect(bundle.jobs).toHaveLength(1)
    const before = await collectBundle(source, { from: 0, to: 2 })
    expect(before.erasures).toEqual([])
  })

  it('is refused for a range that is not in the log', async () => {
    const { source } = await createTenant()
    for (const range of [
      { from: 2, to: 1 },
      { from: 0, to: 99 },
    ]) {
      const refused = collectBundle(source, range)
      await expect(refused).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })

  it('asks for batches one page at a time', async () => {
    const { core, run } = await createTenant()
    const { id } = await run('eu')
    const calls: number[] = []
    const many = Array.from({ length: AUDIT_BUNDLE_PAGE * 2 + 1 }, (_, i) => i + 1)
    const head = core.log.head()
    if (head === null) throw new Error('the tenant has a log')
    const { consistency: _, ...checkpoint } = head
    const own = remote(core)
    const source = bundleSourceOf(
      {
        bundles: {
          ...own.bundles,
          consistency: async (from, to) => {
            calls.push(from.length)
            return await own.bundles.consistency(from, to)
          },
        },
      },
      {
        status: async () => many.map((batchId) => settledIn(batchId, id)),
        settledLogs: async (_, ids) =>
          ids.map((batchId) => ({
            batchId,
            logRoot: head.root,
            checkpoint,
            index: 0,
            size: 1,
            proof: [],
          })),
      },
    )
    const { batches } = await collectBundle(source, { selection: {} })
    expect(batches.map(({ batchId }) => batchId)).toEqual(many)
    expect(calls).toEqual([AUDIT_BUNDLE_PAGE, AUDIT_BUNDLE_PAGE, 1])
  })

  it('holds one page of entries and jobs at a time', async () => {
    const { core } = await createTenant()
    const jobs = AUDIT_BUNDLE_PAGE * 3 + 7
    const receipts = await maker.makeAll(Array.from({ length: jobs }, () => ({})))
    core.receipts.record(groupOf(receipts.map((receipt) => ({ receipt, salt: SALT }))))
    const own = remote(core)
    const counts: number[] = []
    const bundles: TenantApi['bundles'] = {
      ...own.bundles,
      entries: async (page) => count(await own.bundles.entries(page)),
      jobs: async (page) => {
        const part = await own.bundles.jobs(page)
        count(part.receipts)
        return part
      },
    }
    const count = <T>(list: readonly T[]): T[] => {
      counts.push(list.length)
      return [...list]
    }
    const opened = await openBundle(bundleSourceOf({ bundles }), {
      from: null,
      to: null,
      selection: NOT_NARROWED,
    })
    for await (const chunk of bundleText(opened)) expect(chunk.length).toBeLessThan(2_000_000)
    expect(Math.max(...counts)).toBeLessThanOrEqual(AUDIT_BUNDLE_PAGE)
    expect(counts.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(jobs * 3)
  })
})

function refusal(policyId: string) {
  const about = { jobId: null, by: null, code: 'residency_unsatisfiable', rule: null, policyId }
  return { ...about, count: 1, firstAtMs: START_MS, lastAtMs: START_MS }
}
