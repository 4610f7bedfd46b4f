/** The tables of a Hub. Its nodes and their loads are in memory only. */
import type { Schema } from '#worker/platform/schema.ts'

export const HUB_SCHEMA: Schema = {
  store: 'hub',
  migrations: [
    [
      'CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
      'CREATE TABLE attestations (node TEXT PRIMARY KEY, statement TEXT NOT NULL, expires_at_ms INTEGER NOT NULL)',
      // Receipts that node and hub signed together, by `RECEIPT_GROUP`.
      // `names` has a line for each receipt: tenant, job and id.
      `CREATE TABLE outbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, names TEXT NOT NULL, size INTEGER NOT NULL,
        receipts BLOB NOT NULL)`,
    ],
  ],
}
