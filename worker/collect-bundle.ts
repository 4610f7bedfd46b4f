/** Puts a bundle together: the tenant has entries, proofs and receipts, the ledgers say where those settled. */
import type { AuditBundle, BundledBatch, BundledJob } from '#shared/audit-bundle.ts'
import { isNoDomain } from '#shared/eip712.ts'
import type { TenantId } from '#shared/ids.ts'
import type { SignedReceipt } from '#shared/receipt.ts'
import type { Config, WorkerEnv } from './config.ts'
import { homeOf, openLedger, openTenant } from './durable-objects.ts'
import type { LedgerApi, ReceiptStatus, SettledLog } from './ledger/protocol.ts'
import type { BundleSelection, TenantApi } from './tenant/protocol.ts'

export interface BundleSource {
  readonly env: Pick<WorkerEnv, 'TENANT' | 'LEDGER'>
  readonly config: Config
  readonly tenant: TenantId
}

/** @throws {AppError} not_found, too_large, forbidden where the deployment has no log key */
export async function collectBundle(
  { env, config, tenant }: BundleSource,
  selection: BundleSelection,
): Promise<AuditBundle> {
  const log = openTenant(env, tenant, config)
  const { size, receipts, entries, evidence, domain, policies, ...own } =
    await log.auditBundle(selection)
  const settled = await Promise.all(
    [...groupByHome(receipts, config)].map(async ([jurisdiction, group]) =>
      readLedger(openLedger(env, jurisdiction, config), { tenant, receipts: group }),
    ),
  )
  const statuses = new Map(
    settled.flatMap((part) => part.statuses).map((status) => [status.id, status]),
  )
  const records = new Map(evidence.map(({ hash, record }) => [hash, record]))
  const jobs = receipts.map((receipt): BundledJob => ({
    receipt,
    evidence: records.get(receipt.receipt.ticket.place.evidenceHash) ?? null,
    settlement: statuses.get(receipt.id)?.settlement ?? null,
  }))
  const batches = await Promise.all(
    settled.flatMap(({ logs }) => logs).map((batch) => withConsistency(batch, { log, size })),
  )
  return {
    version: 2,
    tenant: own.tenant,
    domain: isNoDomain(domain) ? null : domain,
    checkpoint: own.checkpoint,
    range: own.range,
    selection: own.selection,
    settlesWithinMs: config.settlesWithinMs ?? null,
    policies: [...policies],
    edges: [],
    entries: [...entries],
    erasures: [],
    jobs,
    batches: batches.toSorted((a, b) => a.batchId - b.batchId),
  }
}

function groupByHome(receipts: readonly SignedReceipt[], config: Config) {
  return Map.groupBy(receipts, ({ receipt }) => {
    const hub = config.hubs.find(({ name }) => name === receipt.ticket.hub)
    return homeOf(hub?.jurisdiction ?? 'any', config)
  })
}

interface LedgerPart {
  readonly statuses: readonly ReceiptStatus[]
  readonly logs: readonly SettledLog[]
}

async function readLedger(
  ledger: LedgerApi,
  { tenant, receipts }: { readonly tenant: TenantId; readonly receipts: readonly SignedReceipt[] },
): Promise<LedgerPart> {
  const statuses = await ledger.status(receipts.map(({ id }) => id))
  const batchIds = new Set(statuses.flatMap(({ settlement }) => settlement?.batchId ?? []))
  return { statuses, logs: await ledger.settledLogs(tenant, [...batchIds]) }
}

async function withConsistency(
  { checkpoint, proof, ...batch }: SettledLog,
  { log, size }: { readonly log: TenantApi; readonly size: number },
): Promise<BundledBatch> {
  const consistency = await log.auditConsistency({ from: checkpoint.size, to: size })
  return { ...batch, checkpoint, proof: [...proof], consistency }
}
