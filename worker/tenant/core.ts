/** What a Tenant knows and does, over storage, clock and randomness that it is given. */
import type { AuditDetail } from '#shared/audit/entries.ts'
import { NO_DOMAIN } from '#shared/base/eip712.ts'
import { Address, type Bytes32, type JobId } from '#shared/base/ids.ts'
import type { Policy } from '#shared/law/policy.ts'
import { DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import { openDatabase, type TenantDatabase, type TenantDeps } from '#worker/tenant/log/database.ts'
import { createAuditReader, type LogIdentity } from '#worker/tenant/log/audit-reader.ts'
import { createBundleReader } from '#worker/tenant/receipts/bundle-reader.ts'
import { createBatchIndex } from '#worker/tenant/log/batch-index.ts'
import { createIdempotencyStore } from '#worker/tenant/idempotency/idempotency-store.ts'
import { createKeyStore } from '#worker/tenant/keys/key-store.ts'
import { createOwnKeys } from '#worker/tenant/keys/own-keys.ts'
import { readPlacements } from '#worker/tenant/receipts/placements.ts'
import { createPolicyStore, type PolicyStore } from '#worker/tenant/policies/policy-store.ts'
import { createQuotaStore } from '#worker/tenant/quota/quota-store.ts'
import { createReceiptLog } from '#worker/tenant/receipts/receipt-log.ts'
import { createRefusalStore } from '#worker/tenant/log/refusal-store.ts'
import {
  NewKey,
  type CreatedKey,
  type Erased,
  type KeyInfo,
  type PublishedPolicy,
  type RecordedReceipt,
  type RopaFacts,
  type TenantSnapshot,
} from '#worker/protocols/tenant.ts'
import type { Refusal } from '#worker/protocols/audit.ts'

/** Of tests. */
const NO_LOG_IDENTITY: LogIdentity = { domain: NO_DOMAIN, seed: undefined }

export type TenantCore = ReturnType<typeof createTenantCore>

export function createTenantCore(deps: TenantDeps) {
  const database = openDatabase(deps)
  const keys = createKeyStore(database, deps)
  const policies = createPolicyStore(database, deps)
  const idempotency = createIdempotencyStore(database, deps)
  const quotas = createQuotaStore(database, deps)
  const receipts = createReceiptLog(database, deps)
  const refusals = createRefusalStore(database, deps)
  const audit = createAuditReader(database, deps.log ?? NO_LOG_IDENTITY)
  return {
    batches: createBatchIndex(database, deps),
    idempotency,
    quotas,
    ownKeys: createOwnKeys(database, keys, deps),

    /** Erases what is due. @returns when to be called again, if at all */
    sweep(): number | undefined {
      refusals.settle()
      const due = [idempotency.sweep(), receipts.sweep()].flatMap((atMs) => atMs ?? [])
      return due.length === 0 ? undefined : Math.min(...due)
    },

    audit,
    bundles: createBundleReader(database, { receipts, policies, audit, nowMs: deps.nowMs }),
    recordRefusals: (given: readonly Refusal[]): void => refusals.record(given),

    recordExport(detail: AuditDetail<'audit.exported'>): void {
      database.tenant()
      database.transaction(() =>
        database.audit.append([{ type: 'audit.exported', detail, untilMs: null }]),
      )
    },

    eraseJob: (jobId: JobId, by: string | null): Erased => receipts.erase(jobId, by),
    eraseReceipts: (subject: string, ids: readonly Bytes32[], by: string | null): Erased | null =>
      receipts.eraseReceipts(subject, ids, by),

    ropaFacts(): RopaFacts {
      database.tenant()
      return {
        policies: policies.all(),
        placements: readPlacements(database.rows),
        logSize: database.audit.size(),
      }
    },

    snapshot(): TenantSnapshot | null {
      if (!database.exists()) return null
      return {
        tenant: database.tenant(),
        keys: keys.live(),
        policies: policies.live(),
        retiredPolicies: policies.retired(),
        defaultPolicyId: policies.defaultId(),
        consumer: Address.nullable().parse(database.setting('consumer') ?? null),
      }
    },

    async createKey(request: NewKey): Promise<CreatedKey> {
      const { tenant, consumer, ...grant } = NewKey.parse(request)
      if (!database.exists()) {
        database.create(tenant)
        policies.publish(DEFAULT_POLICY)
      }
      if (consumer !== undefined && consumer !== database.setting('consumer')) {
        database.write('consumer.named', consumer, () => database.set('consumer', consumer))
      }
      return await keys.create(tenant, grant)
    },

    revokeKey(id: string): KeyInfo {
      database.tenant()
      return keys.revoke(id)
    },

    noteKeyUse: (id: string, atMs: number): void => {
      if (database.exists()) keys.noteUse(id, atMs)
    },

    listKeys: (): KeyInfo[] => (database.exists() ? keys.list() : []),

    ...policyCalls(database, policies),

    recordReceipts: (recorded: readonly RecordedReceipt[]) => receipts.record(recorded),

    receipt: (id: Bytes32): RecordedReceipt | null => receipts.find(id),
  }
}

/** Of a tenant that exists, as far as something is changed. */
function policyCalls(database: TenantDatabase, policies: PolicyStore) {
  return {
    publishPolicy(policy: Policy, by?: string): PublishedPolicy {
      database.tenant()
      return policies.publish(policy, by)
    },

    allPolicies: (): PublishedPolicy[] => (database.exists() ? policies.all() : []),

    policyVersion: (id: string, version: number): PublishedPolicy | null =>
      database.exists() ? (policies.version(id, version) ?? null) : null,

    policyVersions: (id: string): PublishedPolicy[] =>
      database.exists() ? policies.versions(id) : [],

    setDefaultPolicy(id: string, by?: string): void {
      database.tenant()
      policies.setDefault(id, by)
    },

    retirePolicy(id: string, by?: string): PublishedPolicy {
      database.tenant()
      return policies.retire(id, by)
    },
  }
}
