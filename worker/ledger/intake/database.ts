/** The Ledger's tables. Amounts are decimal strings, because SQLite's numbers arrive as doubles. */
import { openSchema, type Schema } from '#worker/platform/schema.ts'
import type { Binding, DurableStorage, Row } from '#worker/platform/storage.ts'

export type Rows = (query: string, ...bindings: Binding[]) => Row[]

const TABLES = [
  // One row per authentic receipt. `batch_id` is set once the receipt is in a batch that may land or has landed.
  `CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL, attempt INTEGER NOT NULL, tenant TEXT NOT NULL,
    consumer TEXT, key TEXT NOT NULL, amount TEXT NOT NULL, policy_hash TEXT NOT NULL, country INTEGER NOT NULL,
    hub TEXT NOT NULL, domain TEXT NOT NULL, state TEXT NOT NULL, refusal TEXT, batch_id INTEGER)`,
  `CREATE UNIQUE INDEX receipts_paid_once ON receipts (job_id) WHERE state <> 'refused'`,
  `CREATE INDEX receipts_waiting ON receipts (consumer, sequence)
    WHERE state = 'pending' AND batch_id IS NULL`,
  `CREATE INDEX receipts_by_key ON receipts (key) WHERE state = 'pending'`,
  `CREATE TABLE policies (hash TEXT PRIMARY KEY, policy TEXT NOT NULL)`,
  `CREATE TABLE consumers (tenant TEXT PRIMARY KEY, address TEXT NOT NULL)`,
  // Consumers whose deposit or limit was too small, and unregistered hubs, when last checked.
  `CREATE TABLE waiting_for (name TEXT PRIMARY KEY, until_ms INTEGER NOT NULL)`,
  // Versions of a batch. A later attempt exists only when the previous one was mined and reverted.
  `CREATE TABLE batches (
    id INTEGER NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL, leaves TEXT NOT NULL,
    receipt_root TEXT NOT NULL, earnings_root TEXT NOT NULL, earned TEXT NOT NULL, calldata TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL, transaction_hash TEXT, block_number INTEGER, PRIMARY KEY (id, attempt))`,
  // The checkpoints under the log root of a version.
  `CREATE TABLE batch_logs (
    id INTEGER NOT NULL, attempt INTEGER NOT NULL, checkpoints TEXT NOT NULL, PRIMARY KEY (id, attempt))`,
  // Written before a transaction is first sent, so that every transaction that lands is known.
  `CREATE TABLE transactions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, batch_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL, nonce INTEGER NOT NULL, gas TEXT NOT NULL, max_fee TEXT NOT NULL,
    priority_fee TEXT NOT NULL, raw TEXT NOT NULL, sent_at_ms INTEGER NOT NULL)`,
  // The chain and contract of the batches here; the batches are valid for no other.
  `CREATE TABLE bound_to (domain TEXT PRIMARY KEY)`,
  // From settled batches only.
  `CREATE TABLE earnings (key TEXT PRIMARY KEY, cumulative TEXT NOT NULL)`,
  // The audit logs as last seen.
  `CREATE TABLE log_heads (tenant TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL)`,
]

export const LEDGER_SCHEMA: Schema = { store: 'ledger', migrations: [TABLES] }

export function openTables(storage: DurableStorage): Rows {
  const rows: Rows = (query, ...bindings) => storage.sql.exec(query, ...bindings).toArray()
  storage.transactionSync(() => openSchema(storage, LEDGER_SCHEMA))
  return rows
}
