/** Erases jobs and batches, and returns the proofs. */
import type { BatchErasureReply, ErasureReply } from '#shared/api/audit.ts'
import { AppError } from '#shared/base/errors.ts'
import { NOT_NARROWED } from '#shared/audit/bundle.ts'
import type { Bytes32, JobId } from '#shared/base/ids.ts'
import type { BatchApi, BatchId } from '#worker/protocols/batch.ts'
import { callerOf, ownTenant, type AppContext } from '#worker/gate/context.ts'
import { deploymentOf, everyHub } from '#worker/dispatch/hubs.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import { observeIngress } from '#worker/edge/place.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import type { Erased, TenantApi } from '#worker/protocols/tenant.ts'

/** Batch items that one erasure removes. */
const AUDIT_ERASED_ITEMS = 400

/** Leaves only a leaf without detail and the proof of erasure. @throws {AppError} forbidden, not_found, no_capacity */
export async function eraseJob(c: AppContext, jobId: JobId): Promise<ErasureReply> {
  requireAdmin(c)
  await handOver(c, jobId)
  const tenant = ownTenant(c)
  const erased = await tenant.receipts.erase(jobId, callerOf(c).keyId)
  return { ...(await prove(c, tenant, erased)), jobId }
}

/**
 * Refuses while a receipt is still on its way, because it would arrive after the erasure.
 * @throws {AppError} no_capacity
 */
async function handOver(c: AppContext, jobId: JobId): Promise<void> {
  const { config } = c.var
  const caller = callerOf(c)
  const hubs = await everyHub(deploymentOf(c))
  const held = await Promise.all(
    hubs.map((hub) => openHub(c.env, hub, config).handOver(caller.tenant, jobId)),
  )
  if (!held.includes(true)) return
  throw new AppError(
    'no_capacity',
    `The receipt of ${jobId} is still on its way to your log, so nothing was erased. Ask again in a few seconds.`,
    { meta: { retryAfterSeconds: 5 } },
  )
}

/**
 * Cancels the batch, then erases its items' receipts and its stored data. Receipts that a hub still
 * holds are reported as pending, and the batch stays until all are erased.
 * @throws {AppError} forbidden, not_found
 */
export async function eraseBatch(
  c: AppContext,
  { id, batch }: { readonly id: BatchId; readonly batch: BatchApi },
): Promise<BatchErasureReply> {
  requireAdmin(c)
  const tenant = ownTenant(c)
  await batch.cancel()
  const proofs: ErasureReply[] = []
  const pending: Bytes32[] = []
  for await (const receipts of receiptsOf(c, batch)) {
    pending.push(...(await findWaiting(c, tenant, receipts)))
    const erased = await tenant.receipts.eraseReceipts(id, receipts, callerOf(c).keyId)
    if (erased !== null) proofs.push(await prove(c, tenant, erased))
  }
  if (pending.length === 0) await batch.acknowledge()
  return { object: 'batch_erasure', batchId: id, proofs, pending }
}

/** Receipts that a hub has not delivered to the tenant yet. */
async function findWaiting(
  c: AppContext,
  tenant: TenantApi,
  receipts: readonly Bytes32[],
): Promise<Bytes32[]> {
  const { config } = c.var
  const caller = callerOf(c)
  const hubs = await everyHub(deploymentOf(c))
  const waiting: Bytes32[] = []
  for (const receipt of receipts) {
    if ((await tenant.receipts.find(receipt)) !== null) continue
    for (const hub of hubs) {
      const held = await openHub(c.env, hub, config).receipt(caller.tenant, receipt)
      if (held !== null) waiting.push(receipt)
    }
  }
  return waiting
}

async function* receiptsOf(c: AppContext, batch: BatchApi): AsyncGenerator<Bytes32[]> {
  const { country } = await observeIngress(c.req.raw, c.var.config)
  const { reduced } = await batch.status(country)
  if (reduced?.receipt != null) yield [reduced.receipt]
  let after: number | null = -1
  while (after !== null) {
    const page = await batch.results({ after, limit: AUDIT_ERASED_ITEMS }, country)
    const receipts = page.results.flatMap(({ item }) => item.receipt ?? [])
    if (receipts.length > 0) yield receipts
    after = page.results.length === 0 ? null : page.next
  }
}

async function prove(c: AppContext, tenant: TenantApi, erased: Erased): Promise<ErasureReply> {
  const index = erased.sequence
  const [entry] = await tenant.bundles.selected({
    from: index,
    to: index + 1,
    size: index + 1,
    selection: NOT_NARROWED,
  })
  if (entry === undefined) throw new AppError('internal', 'The erasure is not in the log.')
  const shown = { object: 'erasure' as const, ...erased, entries: [...erased.entries] }
  const kept = { ...shown, held: [...erased.held], entry }
  // The erasure stands even where the log cannot be proven.
  if (c.var.config.logKey === undefined) return { ...kept, proof: null, checkpoint: null }
  const { note, size } = await tenant.log.checkpoint()
  const proof = await tenant.log.inclusion({ index, size })
  return { ...kept, proof, checkpoint: note }
}

function requireAdmin(c: AppContext): void {
  if (hasScope(callerOf(c).scopes, 'admin')) return
  throw new AppError('forbidden', 'Erasing needs a key with scope admin.')
}
