/** SQLite in a file, as a Durable Object has it: prepared statements are kept, and a transaction is one write. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { DurableStorage } from '#worker/platform/storage.ts'

export function openFileStorage(path: string): DurableStorage & { close(): void } {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  const statements = new Map<string, StatementSync>()
  const prepare = (query: string): StatementSync => {
    const statement = statements.get(query) ?? database.prepare(query)
    statements.set(query, statement)
    return statement
  }
  return {
    sql: {
      exec(query, ...bindings) {
        const rows = prepare(query).all(...bindings) as Record<string, unknown>[]
        return { toArray: () => rows }
      },
    },
    transactionSync(closure) {
      database.exec('BEGIN')
      try {
        const result = closure()
        database.exec('COMMIT')
        return result
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
    close: () => database.close(),
  }
}
