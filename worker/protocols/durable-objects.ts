/**
 * The one place that opens Durable Objects, in the jurisdiction that its data needs.
 *
 * On Cloudflare the platform is asked for it. Plain workerd cannot give one (its `jurisdiction()` throws), so a
 * self-hosted deployment declares the one it stands in, and every other is refused: it fails closed.
 */
import { AppError } from '#shared/base/errors.ts'
import type { EvidenceRecord, SignedAttestation } from '#shared/place/evidence.ts'
import type { Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/base/signature.ts'
import { batchJurisdiction, type BatchApi, type BatchId } from './batch.ts'
import type { Config, ObjectNamespace, WorkerEnv } from '#worker/platform/config.ts'
import type { HubGauges, HubStatus, NodeStanding } from './hub.ts'
import type { KernelRegisterApi } from './kernels.ts'
import type { LedgerApi } from './ledger.ts'
import type { TenantApi } from './tenant.ts'

/** What the Worker calls on a Hub. */
export interface HubApi {
  fetch(request: Request): Promise<Response>
  /** For the other hubs, and who else wants to know how far it is: who it is on the network, and its signing key. */
  identify(by: string | null): Promise<{ readonly peerId: string; readonly hubKey: PublicKey }>
  attest(attestation: SignedAttestation): Promise<void>
  /** @returns whether there was a statement about this node */
  unattest(nodeId: string): Promise<boolean>
  attestations(): Promise<SignedAttestation[]>
  status(): Promise<HubStatus>
  gauges(): Promise<HubGauges>
  standings(): Promise<NodeStanding[]>
  /** Null for a node that is not connected to it. */
  evidence(nodeId: NodeId): Promise<EvidenceRecord | null>
  /** A receipt that is still in the hub's outbox. */
  receipt(tenant: TenantId, id: Bytes32): Promise<ReceiptDocument | null>
  /** Has the receipts of a job go to tenant and ledger now. @returns whether one is still in the outbox */
  handOver(tenant: TenantId, jobId: JobId): Promise<boolean>
}

type Deployment = Pick<Config, 'deployment'>

/** @throws {AppError} residency_unsatisfiable when this deployment cannot give the jurisdiction */
export function openObject(
  namespace: ObjectNamespace,
  name: string,
  at: Deployment & { readonly jurisdiction: Jurisdiction },
): unknown {
  const { deployment, jurisdiction } = at
  if (jurisdiction === 'any') return namespace.getByName(name)
  if (deployment === 'cloudflare') return namespace.jurisdiction(jurisdiction).getByName(name)
  if (deployment === jurisdiction) return namespace.getByName(name)
  throw new AppError(
    'residency_unsatisfiable',
    `Records must be kept in ${jurisdiction}; this deployment stands in ${deployment}.`,
    { meta: { rule: 'storage.jurisdiction' } },
  )
}

export function openHub(
  env: Pick<WorkerEnv, 'HUB'>,
  hub: { readonly name: string; readonly jurisdiction: Jurisdiction },
  config: Deployment,
): HubApi {
  return openObject(env.HUB, hub.name, { ...config, jurisdiction: hub.jurisdiction }) as HubApi
}

export function openTenant(
  env: Pick<WorkerEnv, 'TENANT'>,
  tenant: TenantId,
  config: Deployment,
): TenantApi {
  const jurisdiction = tenantJurisdiction(tenant)
  return openObject(env.TENANT, tenant, { ...config, jurisdiction }) as TenantApi
}

/** One ledger a jurisdiction. */
export function openLedger(
  env: Pick<WorkerEnv, 'LEDGER'>,
  jurisdiction: Jurisdiction,
  config: Deployment,
): LedgerApi {
  return openObject(env.LEDGER, `ledger-${jurisdiction}`, {
    ...config,
    jurisdiction,
  }) as LedgerApi
}

/** One register of kernels that hang devices, a jurisdiction. */
export function openKernels(
  env: Pick<WorkerEnv, 'KERNELS'>,
  jurisdiction: Jurisdiction,
  config: Deployment,
): KernelRegisterApi {
  return openObject(env.KERNELS, `kernels-${jurisdiction}`, {
    ...config,
    jurisdiction,
  }) as KernelRegisterApi
}

/** A tenant's own batch: another tenant with the same id gets another object, which holds nothing. */
export function openBatch(
  env: Pick<WorkerEnv, 'BATCH'>,
  batch: { readonly tenant: TenantId; readonly id: BatchId },
  config: Deployment,
): BatchApi {
  const jurisdiction = batchJurisdiction(batch.id)
  return openObject(env.BATCH, `${batch.tenant}/${batch.id}`, {
    ...config,
    jurisdiction,
  }) as BatchApi
}

/**
 * Where a tenant's records are kept, read off its name: `eu--acme` is kept in `eu`, `acme` in `any`.
 * It stands in the name so that an API key alone leads to the right object without asking an object elsewhere.
 */
export function tenantJurisdiction(tenant: string): Jurisdiction {
  const match = /^(eu|us|fedramp-high|fedramp)--/.exec(tenant)
  return match === null ? 'any' : (match[1] as Jurisdiction)
}

/** Where a thing of this jurisdiction really stands: a self-hosted deployment's `any` is its own place. */
export function homeOf(jurisdiction: Jurisdiction, config: Deployment): Jurisdiction {
  return jurisdiction === 'any' && config.deployment !== 'cloudflare'
    ? config.deployment
    : jurisdiction
}

/** Whether records that must be kept in `storage` may be kept in something of this jurisdiction. */
export function canStore(
  storage: Jurisdiction,
  jurisdiction: Jurisdiction,
  config: Deployment,
): boolean {
  return storage === 'any' || homeOf(jurisdiction, config) === storage
}
