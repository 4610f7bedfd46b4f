/**
 * The tables of a Durable Object have one version, and migrations that lead from each version to the next. A store of a
 * version that this build does not know is refused by name, and nothing of it is touched.
 */
import { AppError } from '#shared/base/errors.ts'
import type { Row, SqlStorage } from './storage.ts'

export interface Schema {
  /** As a fault names it: `tenant`. */
  readonly store: string
  /** The statements that lead from version n to version n + 1. Once released, an entry never changes. */
  readonly migrations: readonly (readonly string[])[]
}

/**
 * Brings the tables to the newest version, inside of the caller's transaction.
 * @throws {AppError} internal for a store of an unknown version
 */
export function openSchema(storage: SqlStorage, { store, migrations }: Schema): void {
  const version = versionOf(storage)
  if (version === migrations.length) return
  if (version === undefined || version > migrations.length) {
    const found = version === undefined ? 'have no version' : `are of version ${version}`
    const detail = `The tables of this ${store} ${found}; this build reads version ${migrations.length} and those before it.`
    throw new AppError('internal', detail)
  }
  storage.sql.exec('CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)')
  for (const statement of migrations.slice(version).flat()) storage.sql.exec(statement)
  storage.sql.exec('DELETE FROM schema')
  storage.sql.exec('INSERT INTO schema (version) VALUES (?)', migrations.length)
}

/** Whether there is anything in the store. */
export function hasTables(storage: SqlStorage): boolean {
  return tablesOf(storage).length > 0
}

/** Leaves an empty store. */
export function dropTables(storage: SqlStorage): void {
  for (const name of tablesOf(storage)) storage.sql.exec(`DROP TABLE IF EXISTS "${name}"`)
}

/** 0 for an empty store, undefined for tables without a version. */
function versionOf(storage: SqlStorage): number | undefined {
  const tables = tablesOf(storage)
  if (tables.length === 0) return 0
  if (!tables.includes('schema')) return undefined
  const [row] = storage.sql.exec('SELECT version FROM schema').toArray()
  return row === undefined ? undefined : Number(row['version'])
}

/** Without SQLite's own tables and the platform's. */
function tablesOf(storage: SqlStorage): string[] {
  const query =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'"
  return storage.sql
    .exec(query)
    .toArray()
    .map((row: Row) => String(row['name']))
}
