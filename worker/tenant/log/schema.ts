/** A Tenant's tables. */
import type { Schema } from '#worker/platform/schema.ts'

const SETTINGS = ['CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)']

const KEYS = [
  `CREATE TABLE keys (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, name TEXT NOT NULL, networks TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER, revoked_at_ms INTEGER, last_used_at_ms INTEGER)`,
  'CREATE TABLE former_secrets (id TEXT PRIMARY KEY, hash TEXT NOT NULL, until_ms INTEGER NOT NULL)',
]

const POLICIES = [
  `CREATE TABLE policies (
    id TEXT NOT NULL, version INTEGER NOT NULL, policy TEXT NOT NULL, published_at_ms INTEGER NOT NULL,
    PRIMARY KEY (id, version))`,
  'CREATE TABLE retired_policies (id TEXT PRIMARY KEY, retired_at_ms INTEGER NOT NULL)',
]

/** Leaves stay for ever. A detail and its salt can be erased. */
const LOG = [
  `CREATE TABLE audit_log (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, type TEXT NOT NULL, commitment TEXT NOT NULL, salt TEXT, detail TEXT, job TEXT, erase_at_ms INTEGER, held INTEGER NOT NULL)`,
  'CREATE INDEX audit_log_by_job ON audit_log (job) WHERE job IS NOT NULL',
  'CREATE INDEX audit_log_by_age ON audit_log (erase_at_ms) WHERE erase_at_ms IS NOT NULL',
  "CREATE INDEX audit_log_erasures ON audit_log (sequence) WHERE type IN ('job.erased', 'retention.swept')",
  `CREATE TABLE audit_tiles (level INTEGER NOT NULL, position INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, position))`,
  `CREATE TABLE refusal_minutes (
    key TEXT PRIMARY KEY, start_ms INTEGER NOT NULL, logged INTEGER NOT NULL, more INTEGER NOT NULL)`,
]

const RECEIPTS = [
  // Bytes and signatures as the hub sent them; policy and presence by hash.
  `CREATE TABLE receipts (
    id BLOB PRIMARY KEY, receipt BLOB NOT NULL, signed BLOB NOT NULL, salt BLOB NOT NULL,
    policy BLOB NOT NULL, presence BLOB NOT NULL, erase_at_ms INTEGER NOT NULL)`,
  'CREATE INDEX receipts_by_age ON receipts (erase_at_ms)',
  // Policies, presences and evidence as JSON, each until the last receipt that names it ends.
  `CREATE TABLE named_records (
    kind TEXT NOT NULL, hash BLOB NOT NULL, until_ms INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (kind, hash)) WITHOUT ROWID`,
  'CREATE INDEX named_records_by_age ON named_records (until_ms)',
  `CREATE TABLE placements (
    policy TEXT NOT NULL, version INTEGER NOT NULL, country INTEGER NOT NULL, evidence TEXT NOT NULL,
    trust TEXT NOT NULL, jobs INTEGER NOT NULL, firstAtMs INTEGER NOT NULL, lastAtMs INTEGER NOT NULL,
    PRIMARY KEY (policy, version, country, evidence, trust))`,
  'CREATE TABLE erased_jobs (job BLOB PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  // The first receipt of each job, both as digests, for longer than the job can be sent again.
  `CREATE TABLE first_receipts (
    job BLOB PRIMARY KEY, receipt BLOB NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID`,
  'CREATE INDEX first_receipts_by_age ON first_receipts (until_ms)',
]

const REQUESTS = [
  'CREATE TABLE quota_windows (name TEXT PRIMARY KEY, start_ms INTEGER NOT NULL, taken INTEGER NOT NULL)',
  `CREATE TABLE idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, token TEXT NOT NULL, job_id TEXT,
    sends INTEGER NOT NULL DEFAULT 1, lease_until_ms INTEGER, status INTEGER, headers TEXT, body BLOB,
    body_bytes INTEGER NOT NULL, erase_at_ms INTEGER NOT NULL)`,
  'CREATE INDEX idempotency_by_age ON idempotency (erase_at_ms)',
  `CREATE TABLE batches (
    id TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, erase_at_ms INTEGER NOT NULL, size_bytes INTEGER NOT NULL)`,
]

export const TENANT_SCHEMA: Schema = {
  store: 'tenant',
  migrations: [[...SETTINGS, ...KEYS, ...POLICIES, ...LOG, ...RECEIPTS, ...REQUESTS]],
}
