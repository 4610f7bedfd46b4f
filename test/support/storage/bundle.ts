/** Makes a bundle of settled jobs and its pins without a chain. */
import { toHex } from 'viem'
import { createPinnedView, type Pins } from '#scripts/verify/pins.ts'
import { NOT_NARROWED, type AuditBundle, type ProvenEntry } from '#shared/audit/bundle.ts'
import { checkpointLeaf } from '#shared/audit/entries.ts'
import { createLogSigner } from '#shared/audit/checkpoint.ts'
import { NO_DOMAIN, type Domain } from '#shared/proof/domain.ts'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes, type Bytes32 } from '#shared/base/ids.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { buildTree, inclusionProof, turnsOf } from '#shared/proof/tree.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import type { Binding, DurableStorage } from '#worker/platform/storage.ts'
import { createAuditStore } from '#worker/tenant/log/audit-store.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import {
  createReceiptMaker,
  EU_POLICY_TEXT,
  groupOf,
  type ReceiptWish,
} from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const CHAIN: Domain = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` }
const TRANSACTION: Bytes32 = `0x${'7a'.repeat(32)}`

export interface MadeBundle {
  readonly bundle: AuditBundle
  readonly pins: Pins
  readonly trust: BundleTrust
}

export interface BundleWish {
  readonly jobs: number
  /** False for a deployment without a chain. @default true */
  readonly hasChain?: boolean
  readonly receipt?: ReceiptWish
  /** Changes the tenant before the bundle is made. */
  readonly afterwards?: (core: TenantCore, receipts: readonly SignedReceipt[]) => void
}

export async function makeBundle({
  jobs,
  hasChain = true,
  receipt = {},
  afterwards,
}: BundleWish): Promise<MadeBundle> {
  const domain = hasChain ? CHAIN : NO_DOMAIN
  const seed = toHex(randomBytes(32))
  const maker = await createReceiptMaker(domain)
  // By the machine's clock, which the verify command uses.
  const issuedAtMs = Date.now() - 60_000
  const expiresAtMs = issuedAtMs + 120_000
  const ticket = { issuedAtMs, expiresAtMs, ...receipt.ticket }
  const receipts = await maker.makeAll(Array.from({ length: jobs }, () => ({ ...receipt, ticket })))
  const storage = createSqliteStorage()
  // Each change gets a millisecond of its own on any machine.
  let nowMs = Date.now() - 30_000
  const core = createTenantCore({
    storage,
    nowMs: () => (nowMs += 1),
    random: randomBytes,
    log: { domain, seed },
  })
  await core.keys.create({ tenant: TENANT, scopes: ['infer'], networks: [] })
  core.policies.publish(EU_POLICY_TEXT)
  core.receipts.record(groupOf(receipts.map((signed) => ({ receipt: signed, salt: TRANSACTION }))))
  afterwards?.(core, receipts)
  const head = core.log.head()
  invariant(head, 'the tenant has a log')
  const checkpoint = { tenant: head.tenant, size: head.size, root: head.root }
  const { note } = await core.log.checkpoint()
  const { publicKey } = await createLogSigner(seed)
  const tree = buildTree(receipts.map(({ id }) => id))
  const batch = {
    batchId: 1,
    receiptRoot: tree.root,
    receiptCount: tree.size,
    transactionHash: TRANSACTION,
    blockNumber: 9,
  }
  // The batch has the logs of four more tenants; the other leaves are any hashes.
  const logs = buildTree([seed, publicKey, checkpointLeaf(checkpoint), seed, publicKey])
  const logRoot = logs.root
  const placed = { proof: logs.proof(2), turns: turnsOf({ index: 2, size: logs.size }) }
  const pins: Pins = {
    domain: hasChain ? domain : null,
    hubKeys: hasChain ? [maker.hub.publicKey] : [],
    logKeys: [publicKey],
    attesters: [],
    heads: [],
    batches: hasChain ? [{ ...batch, logRoot }] : [],
  }
  return {
    bundle: {
      version: 3,
      tenant: TENANT,
      domain: hasChain ? domain : null,
      checkpoint: note,
      range: { from: 0, to: head.size },
      selection: NOT_NARROWED,
      settlesWithinMs: hasChain ? 60_000 : null,
      policies: [{ version: 1, policy: EU_POLICY_TEXT }],
      edges: [],
      entries: [...readProven(storage, head.size)],
      erasures: [],
      jobs: receipts.flatMap((signed, i) => {
        if (core.receipts.find(signed.id) === null) return []
        const settlement = hasChain ? { ...batch, index: i, proof: tree.proof(i) } : null
        return [{ receipt: signed, evidence: null, settlement }]
      }),
      batches: hasChain ? [{ batchId: 1, logRoot, checkpoint, ...placed, consistency: [] }] : [],
    },
    pins,
    trust: { chain: createPinnedView(pins), logKeys: [publicKey], attesters: [] },
  }
}

/** Reads a log's entries from its database page by page, each with its inclusion proof. */
export function* readProven(storage: DurableStorage, size: number): Generator<ProvenEntry> {
  const rows = (query: string, ...bindings: Binding[]) =>
    storage.sql.exec(query, ...bindings).toArray()
  const log = createAuditStore(rows, { nowMs: Date.now, random: randomBytes })
  const read = log.reader()
  for (let at = 0; at < size; at += PAGE)
    for (const entry of log.range(at, Math.min(size, at + PAGE)))
      yield { ...entry, proof: inclusionProof({ index: entry.sequence, size }, read) }
}

const PAGE = 500
