/** A bundle made end to end: receipts, a tenant's log, a ledger and a real chain; then every way to tamper with it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  deploySettlement,
  fundConsumer,
  newPoster,
  registerHubKey,
  startAnvil,
  type Chain,
} from '#scripts/lib/chain.ts'
import { createChainView, rememberChain, type ChainView } from '#shared/verify/chain-view.ts'
import { createPinnedView } from '#scripts/lib/pinned-view.ts'
import { verifyEvidence } from '#shared/verify/evidence.ts'
import { verifyBundle } from '#shared/verify/bundle.ts'
import { findForks } from '#shared/verify/log.ts'
import type { BundleTrust, WholeTrust } from '#shared/verify/trust.ts'
import type { AuditBundle } from '#shared/audit-bundle.ts'
import { createLogSigner } from '#shared/checkpoint.ts'
import { NO_DOMAIN } from '#shared/eip712.ts'
import { concludeEvidence } from '#shared/conclude-evidence.ts'
import { placeOf, type EvidenceRecord } from '#shared/evidence.ts'
import { randomBytes, type Bytes32 } from '#shared/ids.ts'
import { silentLog } from '#shared/log.ts'
import { NO_EVIDENCE } from '#shared/receipt.ts'
import { collectBundle, type BundleSource } from '#worker/collect-bundle.ts'
import { createLedgerChain } from '#worker/ledger/chain.ts'
import { createLedgerCore, type LedgerCore } from '#worker/ledger/core.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import type { BundleSelection, RecordedReceipt } from '#worker/tenant/protocol.ts'
import { until } from '../support/poll.ts'
import { TENANT } from '../support/policies.ts'
import { createRandom } from '../support/random.ts'
import { createReceiptMaker, type ReceiptMaker } from '../support/receipts.ts'
import { createSqliteStorage } from '../support/sqlite-storage.ts'

const SALT: Bytes32 = `0x${'5a'.repeat(32)}`
const ISSUED_MS = 1_800_000_000_000
const seed = toHex(randomBytes(32))
let dir: string
let chain: Chain
let maker: ReceiptMaker
let tenant: TenantCore
let ledger: LedgerCore
let consumer: `0x${string}`
let source: BundleSource
let view: ChainView
let trust: WholeTrust
let bundle: AuditBundle

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-bundle-'))
  chain = await startAnvil({ dir, log: silentLog })
  const access = { rpc: chain.rpc, dir }
  const deployment = await deploySettlement(access)
  const { chainId, settlement } = deployment
  const poster = await newPoster(access, deployment)
  const funds = { balanceMicroUsd: 1_000_000n, batchLimitMicroUsd: 1_000_000n }
  consumer = (await fundConsumer(access, deployment, funds)).address
  const domain = { chainId, verifyingContract: settlement }
  maker = await createReceiptMaker(domain)
  await registerHubKey(access, deployment, maker.hub.publicKey)
  tenant = createTenantCore({
    storage: createSqliteStorage(),
    nowMs: () => ISSUED_MS + 1_000,
    random: randomBytes,
    log: { domain: { ...domain, verifyingContract: lower(settlement) }, seed },
  })
  await tenant.createKey({ tenant: TENANT, scopes: ['infer'], networks: [] })
  ledger = createLedgerCore({
    storage: createSqliteStorage(),
    chain: createLedgerChain({ rpc: chain.rpc, chainId, settlement, posterKey: poster.privateKey }),
    nowMs: Date.now,
    wake: () => {},
    log: silentLog,
    batchMs: 10,
    confirmations: 0,
    checkpointOf: async (_tenant, since) => tenant.audit.head(since),
  })
  source = sourceOf()
  await runJobs(3)
  await runJobs(2)
  view = rememberChain(await createChainView(chain.rpc, settlement))
  const { publicKey } = await createLogSigner(seed)
  trust = { chain: view, logKeys: [publicKey], attesters: [] }
  bundle = await collectBundle(source, { from: 0, to: tenant.audit.head()?.size ?? 0 })
})
afterAll(async () => {
  await chain?.close()
  await rm(dir, { recursive: true, force: true })
})

function lower(address: `0x${string}`): `0x${string}` {
  return `0x${address.slice(2).toLowerCase()}`
}

/** The parts of the Worker's environment that a bundle is collected from. */
function sourceOf(): BundleSource {
  const own = {
    auditBundle: (selection: BundleSelection) => tenant.audit.bundle(selection),
    auditConsistency: async (sizes: { from: number; to: number }) =>
      tenant.audit.consistency(sizes),
  }
  const namespace = (stub: unknown) => ({
    getByName: () => stub,
    jurisdiction: () => namespace(stub),
  })
  const config = {
    hubs: [{ name: 'hub-test', jurisdiction: 'any' as const }],
    deployment: 'any' as const,
    ingressCountry: 0,
    hubAddress: '',
    operatorKey: undefined,
    admissionSecret: undefined,
    proxySecret: undefined,
    logKey: seed,
  }
  return { env: { TENANT: namespace(own), LEDGER: namespace(ledger) }, config, tenant: TENANT }
}

/** Jobs that ran, each on evidence that it was observed in Germany, settled in one batch. */
async function runJobs(count: number): Promise<void> {
  const receipts: RecordedReceipt[] = []
  for (let i = 0; i < count; i += 1) {
    const { receipt: plain } = await maker.make()
    const evidence: EvidenceRecord = concludeEvidence(
      {
        nodeId: plain.ticket.nodeId,
        hub: 'hub-test',
        claim: 'DE',
        observation: {
          country: 'DE',
          source: 'edge',
          asn: 3320,
          network: 'residential',
          listVersion: 20_261_101,
        },
        echoes: [],
        attestation: null,
      },
      ISSUED_MS - 500,
    )
    const receipt = await maker.make({ place: placeOf(evidence, 'public') })
    receipts.push({ receipt, evidence, salt: SALT })
  }
  tenant.recordReceipts(receipts)
  await ledger.accept(receipts.map(({ receipt }) => ({ receipt, consumer })))
  await until('the receipts are settled', async () => {
    await ledger.tick()
    const states = await ledger.status(receipts.map(({ receipt }) => receipt.id))
    return states.length === count && states.every(({ status }) => status === 'settled')
  })
}

async function failures(document: unknown, by: WholeTrust = trust): Promise<string[]> {
  const { ok, lines } = await verifyBundle(document, by)
  const failed = lines.filter(({ result }) => result === 'failed').map(({ name }) => name)
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

describe('a bundle', () => {
  it('is proven: policy, node, region, evidence, signatures, log, batch and the log’s root in it', async () => {
    const { lines } = await verifyBundle(bundle, trust)
    expect(lines.filter(({ result }) => result !== 'passed')).toEqual([])
    expect(bundle.jobs.length).toBe(5)
    expect(bundle.batches.map(({ checkpoint }) => checkpoint.size)).toEqual([8, 12])
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

  it('of one job is proven by itself', async () => {
    const { jobId } = at(bundle.jobs, 1).receipt.receipt.ticket
    const own = await collectBundle(source, { jobId })
    expect(own.entries.map(({ type }) => type)).toEqual(['job.admitted', 'job.placed'])
    expect(await failures(own)).toEqual([])
  })

  it('is proven without any connection by what was pinned of the chain', async () => {
    const batches = bundle.jobs.flatMap(({ settlement }) => settlement ?? [])
    const chainless = createPinnedView({
      domain: view.domain,
      hubKeys: [maker.hub.publicKey],
      logKeys: [],
      attesters: [],
      batches: batches.map(({ batchId, receiptRoot, transactionHash, blockNumber }) => ({
        batchId,
        receiptRoot,
        transactionHash,
        blockNumber,
        logRoot: bundle.batches.find((batch) => batch.batchId === batchId)?.logRoot ?? SALT,
      })),
    })
    expect(await failures(bundle, { ...trust, chain: chainless })).toEqual([])
    const others = { ...chainless, isHubKey: async () => false }
    expect(await failures(bundle, { ...trust, chain: others })).toContain('hub.registered')
  })

  it('[V3] with any byte changed is refused, and what does not hold is named', async () => {
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
      expect(
        await failures(document),
        `${index}: ${changed.slice(index - 30, index + 30)}`,
      ).not.toEqual([])
    }
    expect(found).toBeGreaterThan(250)
  })

  it.each<[string, (copy: AuditBundle) => void]>([
    ['log.checkpoint', (copy) => (copy.checkpoint = copy.checkpoint.replace(/\n12\n/, '\n11\n'))],
    [
      'entry.detail',
      (copy) => Object.assign(at(copy.entries, 3).opening?.detail ?? {}, { jobId: 'job_1' }),
    ],
    ['entry.inclusion', (copy) => (at(copy.entries, 4).atMs += 1)],
    ['entry.inclusion', (copy) => (at(copy.entries, 0).commitment = SALT)],
    ['entry.order', (copy) => copy.entries.reverse()],
    ['log.placed', (copy) => copy.entries.splice(3, 1)],
    ['log.admitted', (copy) => copy.entries.splice(2, 1)],
    ['job.receipt', (copy) => copy.jobs.splice(0, 1)],
    ['bundle.jobs', (copy) => copy.jobs.push(at(copy.jobs, 0))],
    ['evidence.record', (copy) => (at(copy.jobs, 0).evidence = null)],
    ['settlement.status', (copy) => (at(copy.jobs, 0).settlement = null)],
    ['batch.covers', (copy) => copy.batches.splice(0, 1)],
    ['batch.log_root', (copy) => (at(copy.batches, 0).logRoot = SALT)],
    ['batch.log', (copy) => (at(copy.batches, 0).checkpoint.size += 1)],
    ['log.consistency', (copy) => at(copy.batches, 0).consistency.pop()],
    ['bundle.domain', (copy) => (copy.domain = null)],
  ])('names %s when that is what was changed', async (name, change) => {
    expect(await failures(edited(change))).toContain(name)
  })

  it('says which entries of the log it has, so that one that was left out is seen', async () => {
    const linesOf = async (document: unknown) =>
      (await verifyBundle(document, trust)).lines.find(({ name }) => name === 'log.entries')?.detail
    expect(await linesOf(bundle)).toContain('entries 0 to 11 of 12, 0 of them without detail')
    const hidden = edited((copy) => {
      copy.entries.splice(2, 2)
      copy.jobs.splice(0, 1)
    })
    expect(await linesOf(hidden)).toContain('entries 0 to 1, 4 to 11 of 12')
  })

  it.each(['bounded', 'attested'] as const)(
    'in which a node is %s on no record of evidence is refused',
    async (evidence) => {
      const receipt = await maker.make({ place: { evidence, evidenceHash: NO_EVIDENCE } })
      const [verdict] = await verifyEvidence(receipt, null, trust)
      expect(verdict).toMatchObject({ name: 'evidence.record', result: 'failed' })
    },
  )

  it('made under another log key, or for another tenant, is refused', async () => {
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
      [
        ...new Set(lines.filter((line) => line.result === result).map(({ name }) => name)),
      ].toSorted()
    return { failed: named('failed'), open: named('open') }
  }

  it('is open with the reason where the chain or the log key is not known, never passed', async () => {
    const unread = {
      domain: view.domain,
      unread: 'no endpoint',
      liveHubKeys: [maker.hub.publicKey],
    }
    const by = { ...trust, chain: unread, logKeys: null }
    const open = [...OF_CHAIN, 'log.checkpoint'].toSorted()
    expect(await resultsOf(bundle, by)).toEqual({ failed: [], open })
    const { lines } = await verifyBundle(bundle, by)
    const chainless = lines.filter(({ name }) => OF_CHAIN.includes(name))
    expect(chainless.every(({ detail }) => detail.includes('no endpoint'))).toBe(true)
  })

  it('does not hide what is wrong all the same', async () => {
    const by = { ...trust, chain: { domain: view.domain, unread: '', liveHubKeys: [] } }
    expect((await resultsOf(bundle, by)).failed).toEqual(['hub.registered'])
    const moved = edited((copy) => at(copy.jobs, 0).settlement?.proof.pop())
    expect((await resultsOf(moved, by)).failed).toContain('settlement.inclusion')
  })

  it('for a detail that is erased, or a job not settled, fails an auditor and is open on a page', async () => {
    const page: BundleTrust = { ...trust, incomplete: 'open' }
    const erased = edited((copy) => (at(copy.entries, 3).opening = null))
    expect((await resultsOf(erased, trust)).failed).toEqual(['batch.covers', 'log.placed'])
    expect(await resultsOf(erased, page)).toEqual({
      failed: [],
      open: ['batch.covers', 'log.entries', 'log.placed'],
    })
    const { jobId } = at(bundle.jobs, 0).receipt.receipt.ticket
    const pending = await collectBundle(source, { jobId })
    Object.assign(at(pending.jobs, 0), { settlement: null })
    Object.assign(pending, { batches: [] })
    const waits = ['batch.covers', 'settlement.status']
    expect((await resultsOf(pending, trust)).failed).toEqual(waits)
    expect(await resultsOf(pending, page)).toEqual({ failed: [], open: waits })
  })
})

describe('a log with a fork', () => {
  it('is named: two roots of one size, and a past that the settled log does not have', async () => {
    const size = bundle.entries.length
    const forked = createTenantCore({
      storage: createSqliteStorage(),
      nowMs: () => ISSUED_MS + 1_000,
      random: randomBytes,
      log: { domain: bundle.domain ?? NO_DOMAIN, seed },
    })
    await forked.createKey({ tenant: TENANT, scopes: ['infer'], networks: [] })
    forked.recordReceipts(bundle.jobs.map(({ receipt }) => ({ receipt, salt: SALT })))
    expect(forked.audit.head()?.size).toBe(size)
    const signed = await forked.audit.checkpoint()
    const failed = await failures(edited((copy) => (copy.checkpoint = signed.note)))
    expect(failed).toContain('log.consistency')
    expect(failed).toContain('log.fork')
    const mine = await verifyBundle(bundle, trust)
    const theirs = await verifyBundle({ ...bundle, checkpoint: signed.note, batches: [] }, trust)
    expect(findForks([...mine.heads, ...theirs.heads]).map(({ name }) => name)).toEqual([
      'log.fork',
    ])
  })
})
