/**
 * The only place that opens Durable Objects, each in the jurisdiction that its data needs.
 *
 * On Cloudflare the platform provides jurisdictions. Plain workerd does not (its `jurisdiction()` throws), so a
 * self-hosted deployment declares its own and refuses every other.
 */
import { AppError } from '#shared/base/errors.ts'
import type { EvidenceRecord, SignedAttestation, SignedEcho } from '#shared/place/evidence.ts'
import type { Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { ReceiptDocument } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { batchJurisdiction, type BatchApi, type BatchSpec } from './batch.ts'
import type { Config, ObjectNamespace, WorkerEnv } from '#worker/platform/config.ts'
import type { RegistryApi } from '#worker/summary/registry.ts'
import type { HubGauges, HubStatus, NodeStanding } from './hub.ts'
import type { KernelRegisterApi } from './kernels.ts'
import type { LedgerApi } from './ledger.ts'
import type { TenantApi } from './tenant.ts'

export interface HubApi {
  fetch(request: Request): Promise<Response>
  /** The hub's peer id and signing key. The Worker also calls it to measure the distance. */
  identify(): Promise<{ readonly peerId: NodeId; readonly hubKey: PublicKey }>
  attest(attestation: SignedAttestation): Promise<void>
  /** @returns whether there was an attestation of this node */
  unattest(nodeId: string): Promise<boolean>
  attestations(): Promise<SignedAttestation[]>
  status(): Promise<HubStatus>
  /** Takes what the anchor, a hub of this deployment, has measured of one of its nodes. */
  echoed(anchor: string, echo: SignedEcho): Promise<void>
  gauges(): Promise<HubGauges>
  standings(): Promise<NodeStanding[]>
  /** Null for a node that is not connected to this hub. */
  evidence(nodeId: NodeId): Promise<EvidenceRecord | null>
  /** Null unless the receipt is still in the hub's outbox. */
  receipt(tenant: TenantId, id: Bytes32): Promise<ReceiptDocument | null>
  /** Delivers a job's receipts to tenant and ledger now. @returns whether one is still in the outbox */
  handOver(tenant: TenantId, jobId: JobId): Promise<boolean>
}

type Deployment = Pick<Config, 'deployment'>

interface ObjectPlace {
  readonly name: string
  readonly jurisdiction: Jurisdiction
}

/** @throws {AppError} residency_unsatisfiable when this deployment cannot provide the jurisdiction */
export function openObject(
  namespace: ObjectNamespace,
  { name, jurisdiction }: ObjectPlace,
  { deployment }: Deployment,
): unknown {
  if (jurisdiction === 'any') return namespace.getByName(name)
  if (deployment === 'cloudflare') return namespace.jurisdiction(jurisdiction).getByName(name)
  if (deployment === jurisdiction) return namespace.getByName(name)
  throw new AppError(
    'residency_unsatisfiable',
    `Records must be kept in ${jurisdiction}; this deployment stands in ${deployment}.`,
    { meta: { rule: 'storage.jurisdiction' } },
  )
}

type ObjectBinding = 'HUB' | 'TENANT' | 'LEDGER' | 'KERNELS' | 'REGISTRY' | 'BATCH'
type Open<Binding extends ObjectBinding, Which, Api> = (
  env: Pick<WorkerEnv, Binding>,
  which: Which,
  config: Deployment,
) => Api

function opener<Binding extends ObjectBinding, Which, Api>(
  binding: Binding,
  placeOf: (which: Which) => ObjectPlace,
): Open<Binding, Which, Api> {
  return (env, which, config) => openObject(env[binding], placeOf(which), config) as Api
}

const inHome = (kind: string) => (jurisdiction: Jurisdiction) => ({
  name: `${kind}-${jurisdiction}`,
  jurisdiction,
})

export const openHub = opener<'HUB', ObjectPlace, HubApi>('HUB', (hub) => hub)
export const openTenant = opener<'TENANT', TenantId, TenantApi>('TENANT', (tenant) => ({
  name: tenant,
  jurisdiction: tenantJurisdiction(tenant),
}))
export const openLedger = opener<'LEDGER', Jurisdiction, LedgerApi>('LEDGER', inHome('ledger'))
export const openKernels = opener<'KERNELS', Jurisdiction, KernelRegisterApi>(
  'KERNELS',
  inHome('kernels'),
)
export const openRegistry = opener<'REGISTRY', Jurisdiction, RegistryApi>(
  'REGISTRY',
  inHome('registry'),
)
/** The object's name holds the tenant: for another tenant the same id opens another object, which is empty. */
export const openBatch = opener<'BATCH', Pick<BatchSpec, 'tenant' | 'id'>, BatchApi>(
  'BATCH',
  ({ tenant, id }) => ({ name: `${tenant}/${id}`, jurisdiction: batchJurisdiction(id) }),
)

/**
 * The jurisdiction that keeps a tenant's records, from its name: `eu` for `eu--acme`, `any` for `acme`.
 * The name holds it so that an API key alone leads to the right object.
 */
export function tenantJurisdiction(tenant: string): Jurisdiction {
  const match = /^(eu|us|fedramp-high|fedramp)--/.exec(tenant)
  return match === null ? 'any' : (match[1] as Jurisdiction)
}

/** The real location of this jurisdiction: in a self-hosted deployment, `any` is the deployment's own. */
export function homeOf(jurisdiction: Jurisdiction, config: Deployment): Jurisdiction {
  return jurisdiction === 'any' && config.deployment !== 'cloudflare'
    ? config.deployment
    : jurisdiction
}

/** Tells whether an object of this jurisdiction may keep records that must stay in `storage`. */
export function canStore(
  storage: Jurisdiction,
  jurisdiction: Jurisdiction,
  config: Deployment,
): boolean {
  return storage === 'any' || homeOf(jurisdiction, config) === storage
}
