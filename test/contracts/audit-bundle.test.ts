/** A bundle made of receipts, a tenant's log, a ledger and a real chain; then every way to tamper with it. */
import { isDeepStrictEqual } from 'node:util'
import { toHex } from 'viem'
import { beforeAll, describe, expect, it } from 'vitest'
import { createChainView, rememberChain, type ChainView } from '#shared/verify/chain-view.ts'
import { createPinnedView } from '#scripts/verify/pins.ts'
import { verifyEvidence } from '#shared/verify/evidence.ts'
import { verifyBundle } from '#shared/verify/whole.ts'
import { findForks } from '#shared/verify/log.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import type { AuditBundle } from '#shared/audit/bundle.ts'
import { createLogSigner } from '#shared/audit/checkpoint.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { placeOf } from '#shared/place/evidence.ts'
import { randomBytes, ZERO_BYTES32, type Bytes32 } from '#shared/base/ids.ts'
import { collectBundle } from '#test/support/storage/collect-bundle.ts'
import { remote } from '#test/support/remote.ts'
import type { BundleSource } from '#worker/api/audit/collect-bundle.ts'
import type { LedgerCore } from '#worker/ledger/core.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import { bundleSourceOf, observedInGermany } from '#test/support/storage/bundle-source.ts'
import { until } from '../support/poll.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createRandom } from '../support/random.ts'
import { EU_POLICY_TEXT, groupOf, nowOfReceipts } from '#test/support/hub/receipts.ts'
import { useSettlement } from '#test/support/storage/use-settlement.ts'
import { openLedger } from '#test/support/storage/ledger.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const SALT: Bytes32 = `0x${'5a'.repeat(32)}`
const ISSUED_MS = 1_800_000_000_000
const seed = toHex(randomBytes(32))
const on = useSettlement()
let tenant: TenantCore
let ledger: LedgerCore
let source: BundleSource
let view: ChainView
let trust: BundleTrust & { readonly chain: ChainView }
let bundle: AuditBundle

beforeAll(async () => {
  const { chainId, settlement } = on.deployment
  tenant = createTenantCore({
    storage: createSqliteStorage(),
    nowMs: () => ISSUED_MS + 1_000,
    random: randomBytes,
    log: { domain: { chainId, verifyingContract: lower(settlement) }, seed },
  })
  await tenant.keys.create({ tenant: TENANT, scopes: ['infer'], networks: [] })
  tenant.policies.publish(EU_POLICY_TEXT)
  ledger = openLedger({
    storage: createSqliteStorage(),
    chain: on.ledgerChain,
    nowMs: nowOfReceipts,
    batchMs: 10,
    checkpointOf: async (_tenant, since) => tenant.log.head(since),
  })
  source = bundleSourceOf(remote(tenant), ledger)
  await runJobs(3)
  await runJobs(2)
  view = rememberChain(await createChainView(on.rpc, settlement))
  const { publicKey } = await createLogSigner(seed)
  trust = { chain: view, logKeys: [publicKey], attesters: [], nowMs: ISSUED_MS + 60_000 }
  bundle = await collectBundle(source, { from: 0, to: tenant.log.head()?.size ?? 0 })
})

function lower(address: `0x${string}`): `0x${string}` {
  return `0x${address.slice(2).toLowerCase()}`
}

/** Jobs of nodes that were observed in Germany, settled in one batch. */
async function runJobs(count: number): Promise<void> {
  const { receipt: plain } = await on.maker.make()
  const evidence = observedInGermany(plain.ticket.nodeId, ISSUED_MS - 500)
  const place = placeOf(evidence, { trust: 'public', voucher: null })
  const receipts = await on.maker.makeAll(Array.from({ length: count }, () => ({ place })))
  const consumer = on.consumer.address
  const group = groupOf(
    receipts.map((receipt) => ({ receipt, consumer, salt: SALT })),
    [evidence],
  )
  tenant.receipts.record(group)
  await ledger.accept(group, [])
  await until('the receipts are settled', async () => {
    await ledger.tick()
    const states = await ledger.status(receipts.map(({ id }) => id))
    return states.length === count && states.every(({ status }) => status === 'settled')
  })
}

/** The checks that are failed, missing or pending. */
async function failures(document: unknown, by: BundleTrust = trust): Promise<string[]> {
  const { ok, lines } = await verifyBundle(document, by)
  const failed = lines
    .filter(({ result }) => result === 'failed' || result === 'missing' || result === 'pending')
    .map(({ name }) => name)
  expect(ok).toBe(failed.length === 0)
  return failed
}

/** A deep copy with something changed in it. */
function edited(change: (copy: AuditBundle) => void): AuditBundle {
  const copy = structuredClone(bundle)
  change(copy)
  return copy
}

const at = <T>(list: readonly T[], index: number): T => {
  const found = list.at(index)
  if (found === undefined) throw new Error(`nothing at ${index}`)
  return found
}

const UNEXPLAINED = 'without detail, which no erasure in the log explains'

describe('a bundle', () => {
  it('passes every check: policy, node, region, evidence, signatures, log and batch', async () => {
    const { lines } = await verifyBundle(bundle, trust)
    expect(lines.filter(({ result }) => result !== 'passed')).toEqual([])
    expect(bundle.jobs.length).toBe(5)
    expect(bundle.batches.map(({ checkpoint }) => checkpoint.size)).toEqual([9, 13])
    const { jobId } = at(bundle.jobs, 0).receipt.receipt.ticket
    const names = lines.filter(({ about }) => about === jobId).map(({ name }) => name)
    for (const name of [
      'policy.hash',
      'place',
      'presence.binding',
      'evidence.record',
      'evidence.conclusion',
      'node.signature',
      'hub.signature',
      'log.placed',
      'settlement.inclusion',
      'batch.covers',
    ])
      expect(names).toContain(name)
    expect(JSON.stringify(bundle)).not.toContain(SALT)
  })

  it('of one job passes by itself', async () => {
    const { jobId } = at(bundle.jobs, 1).receipt.receipt.ticket
    const own = await collectBundle(source, { jobId })
    expect(own.entries.map(({ type }) => type)).toEqual(['job.admitted', 'job.placed'])
    expect(await failures(own)).toEqual([])
  })

  it('passes offline with what was pinned of the chain', async () => {
    const batches = bundle.jobs.flatMap(({ settlement }) => settlement ?? [])
    const pinned = createPinnedView({
      domain: view.domain,
      hubKeys: [on.maker.hub.publicKey],
      logKeys: [],
      attesters: [],
      heads: [],
      batches: batches.map(
        ({ batchId, receiptRoot, receiptCount, transactionHash, blockNumber }) => ({
          batchId,
          receiptRoot,
          receiptCount,
          transactionHash,
          blockNumber,
          logRoot: bundle.batches.find((batch) => batch.batchId === batchId)?.logRoot ?? SALT,
        }),
      ),
    })
    expect(await failures(bundle, { ...trust, chain: pinned })).toEqual([])
    const others = { ...view, isHubKey: async () => false }
    expect(await failures(bundle, { ...trust, chain: others })).toContain('hub.registered')
  })

  it('[V3] with any byte changed fails', async () => {
    const text = JSON.stringify(bundle)
    const random = createRandom(20_261_122)
    let found = 0
    for (let round = 0; round < 400; round += 1) {
      const index = random.below(text.length)
      const bit = 1 << random.below(7)
      const byte = String.fromCharCode(text.charCodeAt(index) ^ bit)
      const changed = text.slice(0, index) + byte + text.slice(index + 1)
      let document: unknown
      try {
        document = JSON.parse(changed)
      } catch {
        continue
      }
      if (isDeepStrictEqual(document, bundle)) continue
      found += 1
      const where = `${index}: ${changed.slice(index - 30, index + 30)}`
      expect(await failures(document), where).not.toEqual([])
    }
    expect(found).toBeGreaterThan(250)
  })

  it.each<[string, (copy: AuditBundle) => void]>([
    ['log.checkpoint', (copy) => (copy.checkpoint = copy.checkpoint.replace(/\n13\n/, '\n12\n'))],
    ['entry.detail', ({ entries }) => (at(entries, 3).opening = { salt: SALT, detail: {} })],
    ['entry.inclusion', (copy) => (at(copy.entries, 4).atMs += 1)],
    ['entry.inclusion', (copy) => (at(copy.entries, 0).commitment = SALT)],
    ['entry.order', (copy) => copy.entries.reverse()],
    ['log.placed', (copy) => copy.entries.splice(4, 1)],
    ['log.admitted', (copy) => copy.entries.splice(3, 1)],
    ['job.receipt', (copy) => copy.jobs.splice(0, 1)],
    ['bundle.jobs', (copy) => copy.jobs.push(at(copy.jobs, 0))],
    ['evidence.record', (copy) => (at(copy.jobs, 0).evidence = null)],
    ['settlement.status', (copy) => (at(copy.jobs, 0).settlement = null)],
    ['batch.covers', (copy) => copy.batches.splice(0, 1)],
    ['batch.log_root', (copy) => (at(copy.batches, 0).logRoot = SALT)],
    ['batch.log', (copy) => (at(copy.batches, 0).checkpoint.size += 1)],
    ['log.consistency', (copy) => at(copy.batches, 0).consistency.pop()],
    ['bundle.domain', (copy) => (copy.domain = null)],
  ])('fails %s when that was changed', async (name, change) => {
    expect(await failures(edited(change))).toContain(name)
  })

  it.each<[string, string, (copy: AuditBundle) => void]>([
    [
      'a job with both its entries',
      '2 entries missing (3 to 4)',
      ({ entries, jobs }) => [entries.splice(3, 2), jobs.splice(0, 1)],
    ],
    [
      'its last entries',
      '2 entries missing (11 to 12)',
      ({ entries, jobs }) => [entries.splice(-2), jobs.splice(-1)],
    ],
    ['an entry without a receipt', '1 entry missing (1)', (copy) => copy.entries.splice(1, 1)],
    ['a detail', `1 entry ${UNEXPLAINED} (0)`, (copy) => (at(copy.entries, 0).opening = null)],
    [
      'a job, as if it were erased',
      `2 entries ${UNEXPLAINED} (3 to 4)`,
      ({ entries, jobs }) => {
        for (const entry of entries.slice(3, 5)) entry.opening = null
        jobs.splice(0, 1)
      },
    ],
    ['a receipt', '1 receipt missing', (copy) => copy.jobs.splice(0, 1)],
    ['the text of a policy', '1 other part missing', (copy) => copy.policies.splice(0, 1)],
  ])('without %s is incomplete, and the verdict says so', async (_what, said, change) => {
    const document = edited(change)
    const { verdict } = await verifyBundle(document, trust)
    expect(verdict.result).toBe('incomplete')
    expect(verdict.title).toContain(said)
    const accepted = await verifyBundle(document, { ...trust, allowGaps: true })
    expect(accepted.verdict.result).toBe('holds')
    expect(accepted.verdict.title).toContain('gaps that --allow-gaps accepts')
    expect(accepted.verdict.title).toContain(said)
  })

  it.each(['bounded', 'attested'] as const)(
    'fails when a node is %s without a record of evidence',
    async (evidence) => {
      const receipt = await on.maker.make({ place: { evidence, evidenceHash: ZERO_BYTES32 } })
      const [verdict] = await verifyEvidence(receipt, null, trust)
      expect(verdict).toMatchObject({ name: 'evidence.record', result: 'failed' })
    },
  )

  it('fails under another log key, or for another tenant', async () => {
    const { publicKey } = await createLogSigner(toHex(randomBytes(32)))
    expect(await failures(bundle, { ...trust, logKeys: [publicKey] })).toEqual(['log.checkpoint'])
    const other = edited((copy) => (copy.tenant = 'other' as typeof copy.tenant))
    expect(await failures(other)).toContain('log.checkpoint')
  })
})

describe('what cannot be checked', () => {
  const OF_CHAIN = [
    'hub.registered',
    'settlement.root',
    'settlement.inclusion',
    'settlement.transaction',
    'batch.log_root',
  ]
  const resultsOf = async (document: unknown, by: BundleTrust) => {
    const { ok, lines } = await verifyBundle(document, by)
    expect(ok).toBe(false)
    const named = (result: string) =>
      lines.filter((line) => line.result === result).map(({ name }) => name)
    return { failed: new Set(named('failed')), open: new Set(named('open')) }
  }

  it('is open, with the reason, when the chain or the log key is unknown', async () => {
    const { domain } = view
    const unread = { domain, unread: 'no endpoint', liveHubKeys: [on.maker.hub.publicKey] }
    const by = { ...trust, chain: unread, logKeys: null }
    const open = new Set([...OF_CHAIN, 'log.checkpoint'])
    expect(await resultsOf(bundle, by)).toEqual({ failed: new Set(), open })
    const { lines } = await verifyBundle(bundle, by)
    const chainless = lines.filter(({ name }) => OF_CHAIN.includes(name))
    expect(chainless.every(({ detail }) => detail.includes('no endpoint'))).toBe(true)
  })

  it('does not hide other faults', async () => {
    const by = { ...trust, chain: { domain: view.domain, unread: '', liveHubKeys: [] } }
    expect((await resultsOf(bundle, by)).failed).toEqual(new Set(['hub.registered']))
    const moved = edited((copy) => at(copy.jobs, 0).settlement?.proof.pop())
    expect((await resultsOf(moved, by)).failed).toContain('settlement.inclusion')
  })

  it('is pending, with the time by which it should settle', async () => {
    const { jobId } = at(bundle.jobs, 0).receipt.receipt.ticket
    const pending = await collectBundle(source, { jobId })
    Object.assign(at(pending.jobs, 0), { settlement: null })
    Object.assign(pending, { batches: [], settlesWithinMs: 60_000 })
    const { verdict, lines } = await verifyBundle(pending, { ...trust, nowMs: ISSUED_MS + 1_000 })
    expect(verdict.result).toBe('incomplete')
    expect(verdict.title).toContain('1 job pending, to be settled by 2027-01-15T08:01:00.025Z')
    const waits = lines.filter(({ result }) => result === 'pending').map(({ name }) => name)
    expect(waits.toSorted()).toEqual(['batch.covers', 'settlement.status'])
  })
})

describe('a log with a fork', () => {
  it('fails: one size has two roots, and the settled log another past', async () => {
    const size = bundle.entries.length
    const forked = createTenantCore({
      storage: createSqliteStorage(),
      nowMs: () => ISSUED_MS + 1_000,
      random: randomBytes,
      log: { domain: bundle.domain ?? NO_DOMAIN, seed },
    })
    await forked.keys.create({ tenant: TENANT, scopes: ['infer'], networks: [] })
    forked.policies.publish(EU_POLICY_TEXT)
    forked.receipts.record(groupOf(bundle.jobs.map(({ receipt }) => ({ receipt, salt: SALT }))))
    expect(forked.log.head()?.size).toBe(size)
    const signed = await forked.log.checkpoint()
    const failed = await failures(edited((copy) => (copy.checkpoint = signed.note)))
    expect(failed).toEqual(expect.arrayContaining(['log.consistency', 'log.fork']))
    const mine = await verifyBundle(bundle, trust)
    const theirs = await verifyBundle({ ...bundle, checkpoint: signed.note, batches: [] }, trust)
    expect(findForks([...mine.heads, ...theirs.heads])).toMatchObject([{ name: 'log.fork' }])
  })
})
