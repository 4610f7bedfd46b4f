/** A tenant's audit log in SQLite. Entries are only added; an erasure removes a detail and its salt, never a leaf. */
import { toHex } from 'viem'
import {
  AUDIT_TYPES,
  commitText,
  leafBytes,
  parseDetail,
  type AuditEvent,
  type LogEntry,
} from '#shared/audit/entries.ts'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { leafHash, treeRoot, type HashReader } from '#shared/proof/tree.ts'
import {
  appendToTiles,
  createTileReader,
  type TileStore,
} from '#shared/audit/transparency-tiles.ts'
import { numberIn, type Row } from '#worker/platform/storage.ts'
import {
  type AuditPage,
  type AuditQuery,
  type Stretch,
  AUDIT_BUNDLE_PAGE,
} from '#worker/protocols/audit.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

/** Rows that one search reads. */
const AUDIT_SCAN_ENTRIES = 20_000
/** Six years, from HIPAA, 45 CFR 164.316(b)(2)(i). */
export const PHI_AUDIT_DAYS = 2_192

export interface Kept {
  /** When the detail is erased; null: it stays as long as the tenant. */
  readonly untilMs: number | null
  /** True if a request for erasure leaves it in place. */
  readonly held?: boolean
}

export interface JobEntry {
  readonly entry: LogEntry
  readonly heldUntilMs: number | null
}

type AuditRows = TenantDatabase['rows']

export type AuditStore = ReturnType<typeof createAuditStore>

export function createAuditStore(
  rows: AuditRows,
  deps: Pick<TenantDeps, 'nowMs' | 'random' | 'wakeAt'>,
) {
  const tiles = createTiles(rows)
  const size = (): number => (numberIn(rows('SELECT max(sequence) FROM audit_log')) ?? -1) + 1
  return {
    /** Runs inside the caller's transaction. @returns the sequence of the first event */
    append(events: readonly (AuditEvent & Kept)[]): number {
      const first = size()
      const atMs = Math.max(deps.nowMs(), lastTime(rows, first))
      const salts = deps.random(SALT_BYTES * events.length)
      const leaves = events.map((event, i) => {
        const salt = toHex(salts.subarray(SALT_BYTES * i, SALT_BYTES * (i + 1)))
        return insert(rows, { ...event, salt, sequence: first + i, atMs })
      })
      appendToTiles(tiles, first, leaves)
      const dueMs = events.flatMap(({ untilMs }) => untilMs ?? [])
      if (dueMs.length > 0) deps.wakeAt?.(Math.min(...dueMs))
      return first
    },
    size,
    root: (at: number): Bytes32 => treeRoot(at, createTileReader(tiles)),
    reader: (): HashReader => createTileReader(tiles),
    /** Entries `from` (included) to `to` (excluded). */
    range: (from: number, to: number): LogEntry[] =>
      rows(
        'SELECT * FROM audit_log WHERE sequence >= ? AND sequence < ? ORDER BY sequence',
        from,
        to,
      ).map(toEntry),
    search: (query: AuditQuery): AuditPage => search(rows, query, size()),
    /** The first entry of that time or later; the log's size when there is none. */
    since: (atMs: number): number => firstSince(rows, atMs, size()),
    /** Entries of the page that name an entry of the range as erased, oldest first. */
    erasuresOf: (range: Stretch, page: Stretch): LogEntry[] =>
      rows(
        `SELECT * FROM audit_log WHERE type IN ('job.erased', 'retention.swept') AND sequence >= ? AND sequence < ?
          AND EXISTS (SELECT 1 FROM json_each(detail, '$.entries') WHERE value >= ? AND value < ?)
          ORDER BY sequence LIMIT ?`,
        page.from,
        page.to,
        range.from,
        range.to,
        AUDIT_BUNDLE_PAGE,
      ).map(toEntry),
    /** A job's entries that are kept, oldest first. */
    ofJob: (jobId: string): JobEntry[] =>
      rows('SELECT * FROM audit_log WHERE job = ? ORDER BY sequence LIMIT 1000', jobId).map(
        (row) => ({
          entry: toEntry(row),
          heldUntilMs: row['held'] === 1 ? Number(row['erase_at_ms']) : null,
        }),
      ),
    erase(sequences: readonly number[]): void {
      for (const sequence of sequences)
        rows(
          'UPDATE audit_log SET salt = NULL, detail = NULL, job = NULL, erase_at_ms = NULL WHERE sequence = ?',
          sequence,
        )
    },
    /** Entries whose details are due, at most LIMITS.retentionSweepRows. */
    due: (nowMs: number): number[] =>
      rows(
        'SELECT sequence FROM audit_log WHERE erase_at_ms <= ? ORDER BY erase_at_ms LIMIT ?',
        nowMs,
        LIMITS.retentionSweepRows,
      ).map((row) => Number(row['sequence'])),
    nextDueMs: (): number | undefined =>
      numberIn(rows('SELECT min(erase_at_ms) FROM audit_log WHERE erase_at_ms IS NOT NULL')),
  }
}

function createTiles(rows: AuditRows): TileStore {
  return {
    read(level, position) {
      const query = 'SELECT hashes FROM audit_tiles WHERE level = ? AND position = ?'
      const [row] = rows(query, level, position)
      return row === undefined ? undefined : new Uint8Array(row['hashes'] as ArrayBuffer)
    },
    write(level, position, hashes) {
      const change = 'INSERT OR REPLACE INTO audit_tiles (level, position, hashes) VALUES (?, ?, ?)'
      rows(change, level, position, hashes)
    },
  }
}

/** Keeps times from decreasing when the clock is set back. */
function lastTime(rows: AuditRows, size: number): number {
  return numberIn(rows('SELECT at_ms FROM audit_log WHERE sequence = ?', size - 1)) ?? 0
}

const SALT_BYTES = 32

type Insert = AuditEvent &
  Kept & { readonly sequence: number; readonly atMs: number; readonly salt: Bytes32 }

/** @returns the leaf's hash */
function insert(
  rows: AuditRows,
  { type, detail, untilMs, held = false, sequence, atMs, salt }: Insert,
): Uint8Array {
  const parsed = parseDetail(type, detail)
  const text = canonicalJson(parsed)
  const commitment = commitText(salt, text)
  rows(
    'INSERT INTO audit_log (sequence, at_ms, type, commitment, salt, detail, job, erase_at_ms, held) ' +
      'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    sequence,
    atMs,
    type,
    commitment,
    salt,
    text,
    'jobId' in parsed ? parsed.jobId : null,
    untilMs,
    held && untilMs !== null ? 1 : 0,
  )
  return leafHash(leafBytes({ version: 1, sequence, atMs, type, commitment }))
}

/** Reads a bounded number of rows, so that a search for a rare type in a long log stays short. */
function search(rows: AuditRows, query: AuditQuery, size: number): AuditPage {
  const floor = query.fromMs === undefined ? 0 : firstSince(rows, query.fromMs, size)
  const ceiling = query.toMs === undefined ? size : firstSince(rows, query.toMs + 1, size)
  const before = Math.min(query.before ?? size, ceiling)
  const until = Math.max(floor, query.jobId === undefined ? before - AUDIT_SCAN_ENTRIES : 0)
  const filters = ['sequence < ?', 'sequence >= ?']
  const bindings: (string | number)[] = [before, until]
  for (const [column, value] of [
    ['type', query.type],
    ['job', query.jobId],
  ] as const) {
    if (value === undefined) continue
    filters.push(`${column} = ?`)
    bindings.push(value)
  }
  const found = rows(
    `SELECT * FROM audit_log WHERE ${filters.join(' AND ')} ORDER BY sequence DESC LIMIT ?`,
    ...bindings,
    query.limit,
  ).map(toEntry)
  const last = found.length === query.limit ? found.at(-1)?.sequence : undefined
  const reached = last ?? until
  return { entries: found, next: reached > floor ? reached : null }
}

/** Binary search: times never decrease. */
function firstSince(rows: AuditRows, atMs: number, size: number): number {
  let [low, high] = [0, size]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const middleMs = numberIn(rows('SELECT at_ms FROM audit_log WHERE sequence = ?', middle))
    invariant(middleMs !== undefined, `entry ${middle} of the log is kept`)
    if (middleMs < atMs) low = middle + 1
    else high = middle
  }
  return low
}

function toEntry(row: Row): LogEntry {
  const type = AUDIT_TYPES.find((known) => known === row['type'])
  invariant(type, `${String(row['type'])} is a type of the log`)
  const isOpen = row['salt'] !== null && row['detail'] !== null
  return {
    version: 1,
    sequence: Number(row['sequence']),
    atMs: Number(row['at_ms']),
    type,
    commitment: Bytes32.parse(row['commitment']),
    opening: isOpen
      ? {
          salt: Bytes32.parse(row['salt']),
          detail: JSON.parse(String(row['detail'])) as Record<string, unknown>,
        }
      : null,
  }
}
