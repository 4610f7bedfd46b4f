/**
 * Migrates a Durable Object's tables from version to version. A store of an unknown version is
 * refused by name and left untouched.
 */
import { AppError } from '#shared/base/errors.ts'
import { numberIn, type Row, type SqlStorage } from './storage.ts'

export interface Schema {
  /** The name in error texts, like `tenant`. */
  readonly store: string
  /** Statements from version n to version n + 1. Released entries never change. */
  readonly migrations: readonly (readonly string[])[]
}

/**
 * Brings the tables to the newest version, inside the caller's transaction.
 * @throws {AppError} internal for a store of an unknown version
 */
export function openSchema(storage: SqlStorage, { store, migrations }: Schema): void {
  const version = versionOf(storage)
  if (version === migrations.length) return
  if (version === undefined || version > migrations.length) {
    const found = version === undefined ? 'have no version' : `are of version ${version}`
    const detail = `The tables of this ${store} ${found}; this build reads versions up to ${migrations.length}.`
    throw new AppError('internal', detail)
  }
  storage.sql.exec('CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)')
  for (const statement of migrations.slice(version).flat()) storage.sql.exec(statement)
  storage.sql.exec('DELETE FROM schema')
  storage.sql.exec('INSERT INTO schema (version) VALUES (?)', migrations.length)
}

export function hasTables(storage: SqlStorage): boolean {
  return tablesOf(storage).length > 0
}

export function dropTables(storage: SqlStorage): void {
  for (const name of tablesOf(storage)) storage.sql.exec(`DROP TABLE IF EXISTS "${name}"`)
}

/** 0 for an empty store, undefined for tables without a version. */
function versionOf(storage: SqlStorage): number | undefined {
  const tables = tablesOf(storage)
  if (tables.length === 0) return 0
  if (!tables.includes('schema')) return undefined
  return numberIn(storage.sql.exec('SELECT version FROM schema').toArray())
}

/** Excludes tables of SQLite and of the platform. */
function tablesOf(storage: SqlStorage): string[] {
  const query =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'"
  return storage.sql
    .exec(query)
    .toArray()
    .map((row: Row) => String(row['name']))
}
