/** SQLite with the interface of a Durable Object's storage: cursors, and synchronous transactions that roll back when they throw. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { openSchema, type Schema } from '#worker/platform/schema.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'

export interface TestStorage extends DurableStorage {
  /** Called with each statement before it runs, COMMIT included; a statement throws what it throws. */
  beforeStatement: (query: string) => void
  close(): void
}

interface StorageOptions {
  /** A file. @default in memory */
  readonly path?: string
  /** Tables to create at once. */
  readonly schema?: Schema
}

export function createSqliteStorage({
  path = ':memory:',
  schema,
}: StorageOptions = {}): TestStorage {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  const statements = new Map<string, StatementSync>()
  const prepare = (query: string): StatementSync => {
    const statement = statements.get(query) ?? database.prepare(query)
    statements.set(query, statement)
    return statement
  }
  const storage: TestStorage = {
    beforeStatement: () => {},
    sql: {
      exec(query, ...bindings) {
        storage.beforeStatement(query)
        const rows = prepare(query).all(...bindings) as Record<string, unknown>[]
        return { toArray: () => rows }
      },
    },
    transactionSync(closure) {
      database.exec('BEGIN')
      try {
        const result = closure()
        storage.beforeStatement('COMMIT')
        database.exec('COMMIT')
        return result
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
    close: () => database.close(),
  }
  if (schema !== undefined) openSchema(storage, schema)
  return storage
}
