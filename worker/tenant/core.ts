/** A Tenant without its runtime: storage, clock and randomness are passed in. */
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { Address } from '#shared/base/ids.ts'
import { DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import { openDatabase, type TenantDeps } from '#worker/tenant/log/database.ts'
import { createTenantLog, type LogIdentity } from '#worker/tenant/log/tenant-log.ts'
import { createBundleReader } from '#worker/tenant/receipts/bundle-reader.ts'
import { createBatchIndex } from '#worker/tenant/log/batch-index.ts'
import { createIdempotencyStore } from '#worker/tenant/idempotency/idempotency-store.ts'
import { createKeyStore } from '#worker/tenant/keys/key-store.ts'
import { createOwnKeys } from '#worker/tenant/keys/own-keys.ts'
import { readPlacements } from '#worker/tenant/receipts/placements.ts'
import { createPolicyStore } from '#worker/tenant/policies/policy-store.ts'
import { createQuotaStore } from '#worker/tenant/quota/quota-store.ts'
import { createReceiptLog } from '#worker/tenant/receipts/receipt-log.ts'
import { createRefusalStore } from '#worker/tenant/log/refusal-store.ts'
import { NewKey, type TenantObject } from '#worker/protocols/tenant.ts'

/** For tests without a chain or a log key. */
const NO_LOG_IDENTITY: LogIdentity = { domain: NO_DOMAIN, seed: undefined }

export interface TenantCore extends TenantObject {
  /** Erases what is due. @returns when to call it again, if at all */
  sweep(): number | undefined
}

export function createTenantCore(deps: TenantDeps): TenantCore {
  const { nowMs } = deps
  const database = openDatabase(deps)
  const keys = createKeyStore(database, deps)
  const policies = createPolicyStore(database, deps)
  const idempotency = createIdempotencyStore(database, deps)
  const receipts = createReceiptLog(database, deps)
  const refusals = createRefusalStore(database, deps)
  const log = createTenantLog(database, { identity: deps.log ?? NO_LOG_IDENTITY, refusals })
  return {
    policies,
    receipts,
    log,
    idempotency,
    ownKeys: createOwnKeys(keys, deps),
    bundles: createBundleReader(database, { receipts, policies, log, nowMs }),
    quota: createQuotaStore(database, deps),
    batches: createBatchIndex(database, deps),

    keys: {
      revoke: (id) => keys.revoke(id),
      list: keys.list,
      noteUse: keys.noteUse,
      async create(request) {
        const { tenant, consumer, ...terms } = NewKey.parse(request)
        if (!database.exists()) {
          database.create(tenant)
          policies.publish(DEFAULT_POLICY)
        }
        if (consumer !== undefined && consumer !== database.setting('consumer')) {
          database.write('consumer.named', consumer, () => database.set('consumer', consumer))
        }
        return await keys.create(terms)
      },
    },

    snapshot() {
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

    ropaFacts: () => ({
      policies: policies.all(),
      placements: readPlacements(database.rows),
      logSize: database.audit.size(),
    }),

    sweep() {
      refusals.settle()
      const due = [idempotency.sweep(), receipts.sweep()].flatMap((atMs) => atMs ?? [])
      return due.length === 0 ? undefined : Math.min(...due)
    },
  }
}
