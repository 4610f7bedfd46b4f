/** A Tenant's tables, and the one way to write them: in a transaction with a line in the append-only event log. */
import { AppError } from '#shared/errors.ts'
import { TenantId, type RandomBytes } from '#shared/ids.ts'
import type { Binding, DurableStorage, Row } from '../storage.ts'

export interface TenantDeps {
  readonly storage: DurableStorage
  readonly nowMs: () => number
  readonly random: RandomBytes
  /** Asks for a call of the core's `sweep` at that time; without it what is due is erased at the next call. */
  readonly wakeAt?: (atMs: number) => void
}

export interface TenantDatabase {
  readonly rows: (query: string, ...bindings: Binding[]) => Row[]
  /** Runs a change and logs it, both or neither. */
  readonly write: <T>(event: string, subject: string, change: () => T) => T
  readonly setting: (name: string) => string | undefined
  readonly set: (name: string, value: string) => void
  /** A tenant exists once it has a key. Until then nothing is written, so that guessed names leave no trace. */
  readonly exists: () => boolean
  readonly create: (tenant: TenantId) => void
  /** @throws {AppError} not_found */
  readonly tenant: () => TenantId
}

const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
  'CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, ' +
    'created_at_ms INTEGER NOT NULL, revoked_at_ms INTEGER)',
  'CREATE TABLE IF NOT EXISTS policies (id TEXT NOT NULL, version INTEGER NOT NULL, policy TEXT NOT NULL, ' +
    'published_at_ms INTEGER NOT NULL, PRIMARY KEY (id, version))',
  'CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, receipt TEXT NOT NULL, salt TEXT NOT NULL, ' +
    'erase_at_ms INTEGER NOT NULL)',
  'CREATE INDEX IF NOT EXISTS receipts_by_age ON receipts (erase_at_ms)',
  'CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, ' +
    'event TEXT NOT NULL, subject TEXT NOT NULL)',
]

export function openDatabase({ storage, nowMs }: TenantDeps): TenantDatabase {
  const rows = (query: string, ...bindings: Binding[]) =>
    storage.sql.exec(query, ...bindings).toArray()
  const write = <T>(event: string, subject: string, change: () => T): T =>
    storage.transactionSync(() => {
      const result = change()
      rows('INSERT INTO events (at_ms, event, subject) VALUES (?, ?, ?)', nowMs(), event, subject)
      return result
    })
  const setting = (name: string) => {
    const [row] = rows('SELECT value FROM settings WHERE name = ?', name)
    return row === undefined ? undefined : String(row['value'])
  }
  const set = (name: string, value: string) => {
    rows('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value)
  }
  const exists = () =>
    rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'settings'").length > 0
  return {
    rows,
    write,
    setting,
    set,
    exists,
    create(tenant) {
      storage.transactionSync(() => {
        for (const statement of SCHEMA) rows(statement)
        set('tenant', tenant)
      })
    },
    tenant() {
      if (!exists()) throw new AppError('not_found', 'There is no such tenant.')
      return TenantId.parse(setting('tenant'))
    },
  }
}
