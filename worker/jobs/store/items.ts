/** The items of a batch in its tables: the next one, the outcome of each, and their sums. */
import { JobId } from '#shared/base/ids.ts'
import { TensorHeader, Work } from '#shared/job/job.ts'
import { MIB } from '#shared/base/limits.ts'
import { countryCode } from '#shared/law/region.ts'
import { z } from 'zod'
import type { DispatchOutcome } from '#worker/protocols/hub.ts'
import { onceJob, type OnceJob } from '#worker/protocols/idempotency.ts'
import { numberIn, type Row } from '#worker/platform/storage.ts'
import type { BatchDatabase } from './database.ts'
import type {
  BatchInput,
  BatchItem,
  BatchStatus,
  Fault,
  ItemResult,
  ResultPage,
  ResultQuery,
} from '#worker/protocols/batch.ts'

/** Failed items, with none answered, after which a batch stops. */
export const JOBS_HOPELESS_ITEMS = 16
const JOBS_PAGE_BYTES = 8 * MIB

/** Index of the reducing kernel's item. */
export const REDUCE_INDEX = -1
const FAILURES_SHOWN = 10
const NODES_SHOWN = 100

export interface NextItem {
  readonly index: number
  readonly failures: number
  readonly units: number
  /** Null: the template's work. */
  readonly work: Work | null
}

export interface Dispatched extends OnceJob {
  /** Names this sending among all of the item. */
  readonly mark: string
}

export interface RecordedAnswer {
  readonly index: number
  readonly mark: Dispatched['mark']
  readonly outcome: DispatchOutcome
  readonly payload: Uint8Array
}

export type ItemSums = Pick<
  BatchStatus,
  'counts' | 'nodes' | 'countries' | 'units' | 'amountMicroUsd' | 'redone' | 'failures'
>

const OPEN = "state IN ('queued', 'running')"
const COUNT_SEND =
  'INSERT INTO sends (idx, job_id, sends) VALUES (?, ?, 1) ' +
  'ON CONFLICT (idx) DO UPDATE SET sends = sends + 1 RETURNING job_id, sends'
const NEXT_SEQ = '(SELECT coalesce(max(seq), 0) + 1 FROM items)'

export type ItemStore = ReturnType<typeof createItemStore>

export function createItemStore(database: BatchDatabase) {
  const { rows, blobs } = database
  const insert = (index: number, item: NewItem) => insertItem(rows, index, item)
  const hasAny = (which: string): boolean =>
    rows(`SELECT idx FROM items WHERE ${which} LIMIT 1`).length > 0
  const hasDone = () => hasAny("state = 'done'")
  return {
    insert(count: number, { items }: Pick<BatchInput, 'items'>, templateUnits: number): void {
      for (let index = 0; index < count; index += 1) {
        const item = items[index]
        insert(index, { work: item?.work ?? null, units: item?.units ?? templateUnits })
        if (item !== undefined) blobs.put(`in:${index}`, item.bytes)
      }
    },
    insertReduction: (units: number): void => insert(REDUCE_INDEX, { work: null, units }),
    next(nowMs: number): NextItem | undefined {
      const query =
        "SELECT * FROM items WHERE state = 'queued' AND next_at_ms <= ? ORDER BY idx LIMIT 1"
      return rows(query, nowMs).map(toNextItem)[0]
    },
    /** When the earliest queued item may go; undefined when none is queued. */
    earliestMs: (): number | undefined =>
      numberIn(rows("SELECT min(next_at_ms) FROM items WHERE state = 'queued'")),
    isAnyOpen: () => hasAny(OPEN),
    hasFailed: () => hasAny("state = 'failed'"),
    /** An item is one job however often it is sent. @param newId the job's id, if the item has none yet */
    start: (index: number, newId: JobId): Dispatched => startItem(database, index, newId),
    /** False when the item waits for another dispatch: an answer is recorded once. */
    record: (answer: RecordedAnswer): boolean => recordAnswer(database, answer),
    requeue(
      index: number,
      { nextAtMs, isFailure }: { readonly nextAtMs: number; readonly isFailure: boolean },
    ): void {
      const query =
        "UPDATE items SET state = 'queued', job_id = NULL, next_at_ms = ?, failures = failures + ?, " +
        'dispatches = dispatches - ? WHERE idx = ?'
      // Without a node there was no dispatch that could cost anything.
      rows(query, nextAtMs, isFailure ? 1 : 0, isFailure ? 0 : 1, index)
    },
    fail(index: number, error: Fault): void {
      const query = `UPDATE items SET state = 'failed', job_id = NULL, error = ?, seq = ${NEXT_SEQ} WHERE idx = ?`
      rows(query, JSON.stringify(error), index)
      blobs.remove(`in:${index}`)
    },
    endOpen(state: 'failed' | 'cancelled', error: Fault): void {
      rows(
        `UPDATE items SET state = ?, job_id = NULL, error = ?, seq = last.seq + items.idx + 2
          FROM (SELECT coalesce(max(seq), 0) AS seq FROM items) AS last WHERE ${OPEN}`,
        state,
        JSON.stringify(error),
      )
    },
    /** Queues running items again, after a restart. */
    requeueLost: (): void =>
      void rows("UPDATE items SET state = 'queued', job_id = NULL WHERE state = 'running'"),
    page: (query: ResultQuery): ResultPage['results'] => readPage(database, query),
    result(index: number): ItemResult | undefined {
      const [row] = rows("SELECT * FROM items WHERE idx = ? AND state = 'done'", index)
      return row === undefined ? undefined : toResult(database, row)
    },
    /** Items that ended after this sequence, oldest first. */
    endedAfter(seq: number, limit: number): { readonly seq: number; readonly item: BatchItem }[] {
      const query = 'SELECT * FROM items WHERE seq > ? ORDER BY seq LIMIT ?'
      return rows(query, seq, limit).map((row) => ({ seq: Number(row['seq']), item: toItem(row) }))
    },
    lastSeq: (): number => numberIn(rows('SELECT max(seq) FROM items')) ?? 0,
    hasDone,
    /** The number of failed items; 0 once one is done. */
    failedWithoutOneDone(): number {
      if (hasDone()) return 0
      const limit = JOBS_HOPELESS_ITEMS
      return rows("SELECT idx FROM items WHERE state = 'failed' LIMIT ?", limit).length
    },
    sums: (): ItemSums => sumItems(database),
  }
}

type NewItem = Pick<NextItem, 'work' | 'units'>

function insertItem(rows: BatchDatabase['rows'], index: number, { work, units }: NewItem): void {
  const query = "INSERT INTO items (idx, state, work, units) VALUES (?, 'queued', ?, ?)"
  rows(query, index, work === null ? null : JSON.stringify(work), units)
}

function startItem({ rows }: BatchDatabase, index: number, newId: JobId): Dispatched {
  const [row] = rows(COUNT_SEND, index, newId)
  const jobId = JobId.parse(row?.['job_id'])
  const sends = Number(row?.['sends'])
  const mark = `${jobId}/${sends}`
  const query =
    "UPDATE items SET state = 'running', job_id = ?, dispatches = dispatches + 1 WHERE idx = ?"
  rows(query, mark, index)
  return { ...onceJob(jobId, sends), mark }
}

function recordAnswer({ rows, blobs }: BatchDatabase, answer: RecordedAnswer): boolean {
  const { index, mark, outcome, payload } = answer
  const recorded = rows(
    `UPDATE items SET state = 'done', job_id = NULL, work = NULL, error = NULL, seq = ${NEXT_SEQ}, receipt_id = ?,
      node_id = ?, country = ?, evidence = ?, billed_units = ?, amount = ?, compute_ms = ?, outputs = ?
      WHERE idx = ? AND state = 'running' AND job_id = ? RETURNING idx`,
    outcome.receiptId,
    outcome.nodeId,
    outcome.place.country,
    `${outcome.place.evidence}; source=${outcome.place.source}`,
    outcome.units,
    Number(outcome.amountMicroUsd),
    outcome.answer.computeMs,
    JSON.stringify(outcome.answer.outputs),
    index,
    mark,
  )
  if (recorded.length === 0) return false
  blobs.put(`out:${index}`, payload)
  blobs.remove(`in:${index}`)
  return true
}

/** Stays within a page's bytes, but returns at least one result if there is one. */
function readPage(database: BatchDatabase, query: ResultQuery): ItemResult[] {
  const found = database.rows(
    `SELECT * FROM items WHERE idx > ? AND idx >= 0 AND NOT ${OPEN} ORDER BY idx LIMIT ?`,
    query.after,
    query.limit,
  )
  const results: ItemResult[] = []
  let sizeBytes = 0
  for (const row of found) {
    const outputs = toOutputs(row)
    sizeBytes += outputs.reduce((sum, header) => sum + header.sizeBytes, 0)
    if (results.length > 0 && sizeBytes > JOBS_PAGE_BYTES) break
    results.push(toResult(database, row))
  }
  return results
}

function toResult({ blobs }: BatchDatabase, row: Row): ItemResult {
  const item = toItem(row)
  return { item, outputs: toOutputs(row), payload: blobs.get(`out:${item.index}`) }
}

function toNextItem(row: Row): NextItem {
  const work = row['work']
  return {
    index: Number(row['idx']),
    failures: Number(row['failures']),
    units: Number(row['units']),
    work: typeof work === 'string' ? Work.parse(JSON.parse(work)) : null,
  }
}

function toOutputs(row: Row): TensorHeader[] {
  const outputs = row['outputs']
  return typeof outputs === 'string' ? z.array(TensorHeader).parse(JSON.parse(outputs)) : []
}

function toItem(row: Row): BatchItem {
  const text = (name: string) => {
    const value = row[name]
    return typeof value === 'string' ? value : null
  }
  const error = text('error')
  const country = row['country']
  return {
    index: Number(row['idx']),
    status: row['state'] as BatchItem['status'],
    receipt: text('receipt_id') as BatchItem['receipt'],
    node: text('node_id'),
    region: country === null ? null : countryCode(Number(country)),
    evidence: text('evidence'),
    units: Number(row['billed_units'] ?? 0),
    computeMs: row['compute_ms'] === null ? null : Number(row['compute_ms']),
    dispatches: Number(row['dispatches']),
    error: error === null ? null : (JSON.parse(error) as Fault),
  }
}

function sumItems({ rows }: BatchDatabase): ItemSums {
  const counts = { total: 0, queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 }
  for (const row of rows(
    'SELECT state, count(*) AS items FROM items WHERE idx >= 0 GROUP BY state',
  )) {
    counts[row['state'] as keyof typeof counts] = Number(row['items'])
    counts.total += Number(row['items'])
  }
  const [bill] = rows(
    'SELECT coalesce(sum(billed_units), 0) AS units, coalesce(sum(amount), 0) AS amount, ' +
      'coalesce(sum(max(dispatches - 1, 0)), 0) AS redone FROM items',
  )
  const nodes = rows(
    'SELECT node_id, country, count(*) AS items FROM items WHERE node_id IS NOT NULL ' +
      'GROUP BY node_id, country ORDER BY items DESC LIMIT ?',
    NODES_SHOWN,
  )
  const countries = rows(
    'SELECT country, count(*) AS items FROM items WHERE country IS NOT NULL GROUP BY country',
  )
  const failures = rows(
    "SELECT * FROM items WHERE state = 'failed' ORDER BY idx LIMIT ?",
    FAILURES_SHOWN,
  ).map(toItem)
  return {
    counts,
    nodes: nodes.map((row) => ({
      nodeId: String(row['node_id']),
      country: countryCode(Number(row['country'])),
      items: Number(row['items']),
    })),
    countries: Object.fromEntries(
      countries.map((row) => [countryCode(Number(row['country'])), Number(row['items'])]),
    ),
    units: Number(bill?.['units']),
    amountMicroUsd: String(bill?.['amount']),
    redone: Number(bill?.['redone']),
    failures: failures.flatMap(({ index, error }) => (error === null ? [] : [{ index, ...error }])),
  }
}
