/** SQLite as a Durable Object's storage gives it: rows by cursor, synchronous transactions that roll back when they throw. */
import { DatabaseSync } from 'node:sqlite'
import { openSchema, type Schema } from '#worker/platform/schema.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'

export interface TestStorage extends DurableStorage {
  /** Called before each statement; what it throws, the statement throws. */
  beforeStatement: () => void
  close(): void
}

/** @param schema of tables that are there from the beginning */
export function createSqliteStorage(schema?: Schema): TestStorage {
  const database = new DatabaseSync(':memory:')
  const storage: TestStorage = {
    beforeStatement: () => {},
    sql: {
      exec(query, ...bindings) {
        storage.beforeStatement()
        const rows = database.prepare(query).all(...bindings) as Record<string, unknown>[]
        return { toArray: () => rows }
      },
    },
    transactionSync(closure) {
      database.exec('BEGIN')
      try {
        const result = closure()
        storage.beforeStatement()
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
