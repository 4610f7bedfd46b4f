/** A Tenant's tables, and the one way to change them: in a transaction with an entry in the audit log. */
import type { ChangeType } from '#shared/audit/entries.ts'
import { AppError } from '#shared/base/errors.ts'
import { TenantId, type Bytes32, type RandomBytes } from '#shared/base/ids.ts'
import type { LogIdentity } from './tenant-log.ts'
import { createAuditStore, type AuditStore } from './audit-store.ts'
import { TENANT_SCHEMA } from './schema.ts'
import { hasTables, openSchema } from '#worker/platform/schema.ts'
import { numberIn, type Binding, type DurableStorage, type Row } from '#worker/platform/storage.ts'

export interface TenantDeps {
  readonly storage: DurableStorage
  readonly nowMs: () => number
  readonly random: RandomBytes
  /** Asks for a call of the core's `sweep` at that time. Without it, due data is erased at the next call. */
  readonly wakeAt?: (atMs: number) => void
  readonly log?: LogIdentity
}

/** More facts about a change, for its log entry. */
export interface ChangeAbout {
  readonly policyHash?: Bytes32
  readonly by?: string
}

export interface TenantDatabase {
  /** @throws {AppError} not_found before the tenant exists */
  readonly rows: (query: string, ...bindings: Binding[]) => Row[]
  /** The first column of the first row; undefined when it is null or there is no row. */
  readonly number: (query: string, ...bindings: Binding[]) => number | undefined
  /** Makes a change and logs it, both or neither. */
  readonly write: <T>(event: ChangeType, subject: string, change: () => T, about?: ChangeAbout) => T
  readonly transaction: <T>(closure: () => T) => T
  readonly audit: AuditStore
  readonly setting: (name: string) => string | undefined
  readonly set: (name: string, value: string) => void
  /** A tenant exists once it has a key. Until then nothing is written, so that guessed names leave no trace. */
  readonly exists: () => boolean
  readonly create: (tenant: TenantId) => void
  /** @throws {AppError} not_found */
  readonly tenant: () => TenantId
}

export function openDatabase(deps: TenantDeps): TenantDatabase {
  const { storage } = deps
  let isThere = hasTables(storage)
  const rows = (query: string, ...bindings: Binding[]) => {
    if (!isThere) throw new AppError('not_found', 'There is no such tenant.')
    return storage.sql.exec(query, ...bindings).toArray()
  }
  const audit = createAuditStore(rows, deps)
  const transaction = <T>(closure: () => T): T => storage.transactionSync(closure)
  const write: TenantDatabase['write'] = (type, subject, change, { policyHash, by } = {}) =>
    transaction(() => {
      const result = change()
      const detail = { subject, policyHash: policyHash ?? null, by: by ?? null }
      audit.append([{ type, detail, untilMs: null }])
      return result
    })
  const setting = (name: string) => {
    const [row] = rows('SELECT value FROM settings WHERE name = ?', name)
    return row === undefined ? undefined : String(row['value'])
  }
  const set = (name: string, value: string) => {
    rows('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value)
  }
  if (isThere) transaction(() => openSchema(storage, TENANT_SCHEMA))
  return {
    rows,
    number: (query, ...bindings) => numberIn(rows(query, ...bindings)),
    write,
    transaction,
    audit,
    setting,
    set,
    exists: () => isThere,
    create(tenant) {
      transaction(() => {
        openSchema(storage, TENANT_SCHEMA)
        storage.sql.exec("INSERT INTO settings (name, value) VALUES ('tenant', ?)", tenant)
      })
      isThere = true
    },
    tenant: () => TenantId.parse(setting('tenant')),
  }
}
