/** The tables of a Hub. Its nodes and their loads are in memory only. */
import type { Schema } from '#worker/platform/schema.ts'

export const HUB_SCHEMA: Schema = {
  store: 'hub',
  migrations: [
    [
      'CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
      'CREATE TABLE attestations (node TEXT PRIMARY KEY, statement TEXT NOT NULL, expires_at_ms INTEGER NOT NULL)',
      'CREATE TABLE outbox (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, entry TEXT NOT NULL)',
    ],
  ],
}
