/** A bundle of settled jobs, and what pins it: made without a chain, so that only its verification is measured. */
import { toHex } from 'viem'
import { createPinnedView } from '#scripts/lib/verify/pins.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import type { AuditBundle } from '#shared/audit-bundle.ts'
import { checkpointLeaf } from '#shared/audit.ts'
import { createLogSigner } from '#shared/checkpoint.ts'
import { invariant } from '#shared/errors.ts'
import { randomBytes, type Bytes32 } from '#shared/ids.ts'
import { buildMerkleTree } from '#shared/merkle.ts'
import { createReceiptMaker } from '#test/support/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createTenantCore } from '#worker/tenant/core.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const TRANSACTION: Bytes32 = `0x${'7a'.repeat(32)}`

export async function makeBundle(
  jobCount: number,
): Promise<{ readonly bundle: AuditBundle; readonly trust: BundleTrust }> {
  const seed = toHex(randomBytes(32))
  const maker = await createReceiptMaker(DOMAIN)
  const receipts = await Promise.all(Array.from({ length: jobCount }, () => maker.make()))
  const tenant = receipts[0]?.receipt.ticket.tenant
  invariant(tenant, 'a bundle has a job')
  const core = createTenantCore({
    storage: createSqliteStorage(),
    nowMs: () => 1_800_000_001_000,
    random: randomBytes,
    log: { domain: DOMAIN, seed },
  })
  await core.createKey({ tenant, scopes: ['infer'], networks: [] })
  core.recordReceipts(receipts.map((receipt) => ({ receipt, salt: TRANSACTION })))
  const head = core.audit.head()
  invariant(head, 'the tenant has a log')
  const checkpoint = { tenant: head.tenant, size: head.size, root: head.root }
  const own = await core.audit.bundle({ from: 0, to: checkpoint.size })
  const tree = buildMerkleTree(receipts.map(({ id }) => id))
  const batch = { batchId: 1, receiptRoot: tree.root, transactionHash: TRANSACTION, blockNumber: 9 }
  const logRoot = checkpointLeaf(checkpoint)
  const { publicKey } = await createLogSigner(seed)
  const bundle: AuditBundle = {
    version: 2,
    tenant,
    domain: DOMAIN,
    checkpoint: own.checkpoint,
    range: own.range,
    selection: own.selection,
    settlesWithinMs: null,
    policies: [...own.policies],
    edges: [],
    entries: [...own.entries],
    erasures: [],
    jobs: receipts.map((receipt, i) => ({
      receipt,
      evidence: null,
      settlement: { ...batch, proof: tree.proof(i) },
    })),
    batches: [{ batchId: 1, logRoot, checkpoint, proof: [], consistency: [] }],
  }
  const pins = {
    domain: DOMAIN,
    hubKeys: [maker.hub.publicKey],
    logKeys: [publicKey],
    attesters: [],
    heads: [],
    batches: [{ ...batch, logRoot }],
  }
  return { bundle, trust: { chain: createPinnedView(pins), logKeys: [publicKey], attesters: [] } }
}
