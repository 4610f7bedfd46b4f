/** What a Tenant knows and does, over storage, clock and randomness that it is given. */
import { Address, Bytes32 } from '#shared/ids.ts'
import { DEFAULT_POLICY, type Policy } from '#shared/policy.ts'
import { SignedReceipt } from '#shared/receipt.ts'
import { openDatabase, type TenantDatabase, type TenantDeps } from './database.ts'
import { createBatchIndex } from './batch-index.ts'
import { createIdempotencyStore } from './idempotency-store.ts'
import { createKeyStore } from './key-store.ts'
import { createOwnKeys } from './own-keys.ts'
import { createPolicyStore } from './policy-store.ts'
import { createQuotaStore } from './quota-store.ts'
import {
  NewKey,
  type CreatedKey,
  type KeyInfo,
  type PublishedPolicy,
  type RecordedReceipt,
  type TenantSnapshot,
} from './protocol.ts'

const DAY_MS = 86_400_000

export type TenantCore = ReturnType<typeof createTenantCore>

export function createTenantCore(deps: TenantDeps) {
  const database = openDatabase(deps)
  const keys = createKeyStore(database, deps)
  const policies = createPolicyStore(database, deps)
  const idempotency = createIdempotencyStore(database, deps)
  const quotas = createQuotaStore(database, deps)
  return {
    batches: createBatchIndex(database, deps),
    idempotency,
    quotas,
    ownKeys: createOwnKeys(database, keys),

    /** Erases what is due. @returns when to be called again, if at all */
    sweep: (): number | undefined => idempotency.sweep(),

    snapshot(): TenantSnapshot | null {
      if (!database.exists()) return null
      return {
        tenant: database.tenant(),
        keys: keys.live(),
        policies: policies.newest(),
        defaultPolicyId: policies.defaultId(),
        consumer: Address.nullable().parse(database.setting('consumer') ?? null),
      }
    },

    async createKey(request: NewKey): Promise<CreatedKey> {
      const { tenant, scopes, networks, consumer } = NewKey.parse(request)
      if (!database.exists()) {
        database.create(tenant)
        policies.publish(DEFAULT_POLICY)
      }
      if (consumer !== undefined && consumer !== database.setting('consumer')) {
        database.write('consumer.named', consumer, () => database.set('consumer', consumer))
      }
      return await keys.create(tenant, { scopes, networks })
    },

    revokeKey(id: string): KeyInfo {
      database.tenant()
      return keys.revoke(id)
    },

    listKeys: (): KeyInfo[] => (database.exists() ? keys.list() : []),

    publishPolicy(policy: Policy): PublishedPolicy {
      database.tenant()
      return policies.publish(policy)
    },

    setDefaultPolicy(id: string): void {
      database.tenant()
      policies.setDefault(id)
    },

    recordReceipts(receipts: readonly RecordedReceipt[]): void {
      database.tenant()
      deps.storage.transactionSync(() => {
        for (const entry of receipts) insertReceipt(database, entry)
        database.rows('DELETE FROM receipts WHERE erase_at_ms < ?', deps.nowMs())
      })
    },

    receipt(id: Bytes32): RecordedReceipt | null {
      if (!database.exists()) return null
      const query = 'SELECT * FROM receipts WHERE id = ? AND erase_at_ms >= ?'
      const [row] = database.rows(query, id, deps.nowMs())
      if (row === undefined) return null
      return {
        receipt: SignedReceipt.parse(JSON.parse(String(row['receipt']))),
        salt: Bytes32.parse(row['salt']),
      }
    },
  }
}

/** Again is no change: hubs deliver at least once. */
function insertReceipt(database: TenantDatabase, { receipt, salt }: RecordedReceipt): void {
  database.rows(
    'INSERT OR IGNORE INTO receipts (id, receipt, salt, erase_at_ms) VALUES (?, ?, ?, ?)',
    receipt.id,
    JSON.stringify(receipt),
    salt,
    // By the hub's clock: the node's own times would let it erase its records at once, or keep them for ever.
    receipt.receipt.ticket.issuedAtMs + receipt.policy.retentionDays * DAY_MS,
  )
}
