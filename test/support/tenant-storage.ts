/** Real SQLite with the shape of a Tenant's Durable Object storage. */
import { DatabaseSync } from 'node:sqlite'
import type { TenantStorage } from '#worker/tenant/database.ts'

export function createTenantStorage(): TenantStorage {
  const database = new DatabaseSync(':memory:')
  return {
    sql: {
      exec(query, ...bindings) {
        const rows = database.prepare(query).all(...bindings) as Record<string, unknown>[]
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
  }
}
