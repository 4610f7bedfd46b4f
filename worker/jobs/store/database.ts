/** A Batch's tables: settings, items, and bytes in chunks that fit SQLite's rows. */
import { concatBytes } from 'viem'
import { AppError, invariant } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import { dropTables, hasTables, openSchema, type Schema } from '#worker/platform/schema.ts'
import { numberIn, type Binding, type DurableStorage, type Row } from '#worker/platform/storage.ts'

/** One stored value. A Durable Object's SQLite takes at most 2 MiB a row. */
const STORAGE_CHUNK_BYTES = MIB
invariant(STORAGE_CHUNK_BYTES < 2 * MIB, 'A chunk fits a row.')

const TABLES = [
  'CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
  // `next_at_ms`: earliest time of the next dispatch. `job_id`: mark of the dispatch under way. `seq`: order of ending.
  'CREATE TABLE items (idx INTEGER PRIMARY KEY, state TEXT NOT NULL, next_at_ms INTEGER NOT NULL DEFAULT 0, ' +
    'failures INTEGER NOT NULL DEFAULT 0, dispatches INTEGER NOT NULL DEFAULT 0, job_id TEXT, work TEXT, ' +
    'units INTEGER NOT NULL, seq INTEGER, receipt_id TEXT, node_id TEXT, country INTEGER, evidence TEXT, ' +
    'billed_units INTEGER, amount INTEGER, compute_ms REAL, outputs TEXT, error TEXT)',
  'CREATE INDEX items_by_state ON items (state, idx)',
  'CREATE INDEX items_by_seq ON items (seq)',
  'CREATE TABLE blobs (name TEXT NOT NULL, chunk INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, chunk))',
  'CREATE TABLE sends (idx INTEGER PRIMARY KEY, job_id TEXT NOT NULL, sends INTEGER NOT NULL)',
]

const BATCH_SCHEMA: Schema = { store: 'batch', migrations: [TABLES] }

export type BatchDatabase = ReturnType<typeof openBatchDatabase>

export function openBatchDatabase(storage: DurableStorage) {
  const rows = (query: string, ...bindings: Binding[]): Row[] =>
    storage.sql.exec(query, ...bindings).toArray()
  const exists = () => hasTables(storage)
  if (exists()) storage.transactionSync(() => openSchema(storage, BATCH_SCHEMA))
  return {
    rows,
    transaction: <T>(change: () => T): T => storage.transactionSync(change),
    exists,
    create: (): void => openSchema(storage, BATCH_SCHEMA),
    erase: (): void => storage.transactionSync(() => dropTables(storage)),
    setting: (name: string): string | undefined => {
      const [row] = rows('SELECT value FROM settings WHERE name = ?', name)
      return row === undefined ? undefined : String(row['value'])
    },
    set: (name: string, value: string | null): void => {
      if (value === null) rows('DELETE FROM settings WHERE name = ?', name)
      else rows('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value)
    },
    blobs: createBlobs(rows),
  }
}

/** Bytes by name: `shared`, `reduce`, `reduced`, `in:12`, `out:12`. */
function createBlobs(rows: (query: string, ...bindings: Binding[]) => Row[]) {
  return {
    put(name: string, bytes: Uint8Array): void {
      for (let chunk = 0; chunk * STORAGE_CHUNK_BYTES < bytes.length; chunk += 1) {
        const at = chunk * STORAGE_CHUNK_BYTES
        const part = bytes.slice(at, at + STORAGE_CHUNK_BYTES)
        rows('INSERT INTO blobs (name, chunk, bytes) VALUES (?, ?, ?)', name, chunk, part)
      }
    },
    /** Empty when there is no such name. */
    get(name: string): Uint8Array {
      const chunks = rows('SELECT bytes FROM blobs WHERE name = ? ORDER BY chunk', name).map(
        (row) => toBytes(row['bytes']),
      )
      const [first] = chunks
      return chunks.length === 1 && first !== undefined ? first : concatBytes(chunks)
    },
    remove: (name: string): void => void rows('DELETE FROM blobs WHERE name = ?', name),
    totalBytes: (): number => numberIn(rows('SELECT sum(length(bytes)) FROM blobs')) ?? 0,
    /** Removes everything except results. */
    removeInputs: (): void =>
      void rows("DELETE FROM blobs WHERE name <> 'reduced' AND name NOT LIKE 'out:%'"),
    removeAll: (): void => void rows('DELETE FROM blobs'),
  }
}

/** A Durable Object returns an ArrayBuffer, node:sqlite a Uint8Array. */
function toBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  throw new AppError('internal', 'A stored value is not bytes.')
}
