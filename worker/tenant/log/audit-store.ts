/** A tenant's audit log in SQLite. Entries are only added; an erasure removes a detail and its salt, never a leaf. */
import { bytesToHex } from 'viem'
import {
  AUDIT_TYPES,
  commitText,
  leafBytes,
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
import { jsonLists } from './json-lists.ts'

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
    /**
     * Runs inside the caller's transaction; the number of its statements hardly depends on that of the events.
     * @param events their details fit the schemas of their types @returns the sequence of the first event
     */
    append(events: readonly (AuditEvent & Kept)[]): number {
      const { first, atMs } = nextEntry(rows, deps.nowMs())
      const salts = deps.random(SALT_BYTES * events.length)
      const drafts = events.map((event, i) => {
        const salt = bytesToHex(salts.subarray(SALT_BYTES * i, SALT_BYTES * (i + 1)))
        return draftOf(event, { salt, sequence: first + i, atMs })
      })
      for (const { from, json } of jsonLists(drafts.map(({ row }) => row)))
        rows(INSERT, first + from, atMs, json)
      appendToTiles(
        tiles,
        first,
        drafts.map(({ leaf }) => leaf),
      )
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
      if (sequences.length === 0) return
      rows(
        `UPDATE audit_log SET salt = NULL, detail = NULL, job = NULL, erase_at_ms = NULL
          WHERE sequence IN (SELECT value FROM json_each(?))`,
        JSON.stringify(sequences),
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

/** The next sequence and its time, which never decreases, even when the clock is set back. */
function nextEntry(rows: AuditRows, nowMs: number): { first: number; atMs: number } {
  const query = 'SELECT sequence, at_ms FROM audit_log ORDER BY sequence DESC LIMIT 1'
  const [last] = rows(query)
  if (last === undefined) return { first: 0, atMs: nowMs }
  return { first: Number(last['sequence']) + 1, atMs: Math.max(nowMs, Number(last['at_ms'])) }
}

const SALT_BYTES = 32
const INSERT = `INSERT INTO audit_log (sequence, at_ms, type, commitment, salt, detail, job, erase_at_ms, held)
  SELECT ?1 + key, ?2, ${[0, 1, 2, 3, 4, 5, 6].map((i) => `value ->> ${i}`).join(', ')} FROM json_each(?3)`

interface Draft {
  /** In the order of {@link INSERT}. */
  readonly row: readonly (string | number | null)[]
  readonly leaf: Uint8Array
}

function draftOf(
  { type, detail, untilMs, held = false }: AuditEvent & Kept,
  at: { readonly sequence: number; readonly atMs: number; readonly salt: Bytes32 },
): Draft {
  const { salt, ...place } = at
  const text = canonicalJson(detail)
  const commitment = commitText(salt, text)
  const job = 'jobId' in detail ? detail.jobId : null
  const isHeld = held && untilMs !== null ? 1 : 0
  return {
    row: [type, commitment, salt, text, job, untilMs, isHeld],
    leaf: leafHash(leafBytes({ version: 1, ...place, type, commitment })),
  }
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
