/** The register of kernels that hang devices, without its runtime: reports, and the bans that follow from them. */
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { openSchema, type Schema } from '#worker/platform/schema.ts'
import { numberIn, type DurableStorage } from '#worker/platform/storage.ts'
import {
  type AuthoredBan,
  type KernelBans,
  type KernelRegisterApi,
  type KernelReport,
  KERNEL_BAN_MS,
  KERNEL_REPORT_MS,
  KERNEL_REPORTS,
  KERNEL_BANS,
} from '#worker/protocols/kernels.ts'
import { invariant } from '#shared/base/errors.ts'

/** Duration of a ban that public nodes reported. */
export const KERNEL_PUBLIC_BAN_MS = 86_400_000
invariant(KERNEL_PUBLIC_BAN_MS < KERNEL_BAN_MS, 'Vouched nodes count for more than public ones.')

export interface KernelRegisterDeps {
  readonly storage: DurableStorage
  readonly nowMs: () => number
  readonly log: Log
}

/** Weight of a report from a node that a customer vouches for. */
const VOUCHED_WEIGHT = 2
const PUBLIC_WEIGHT = 1
/** The weight that bans a kernel which nobody has completed. Each reporter that completed it raises this, up to MOST_WEIGHT. */
const LEAST_WEIGHT = 2
const MOST_WEIGHT = 4
/** A public reporter with this many reports that led to no ban is ignored. */
const UNHEEDED_REPORTS = 3

const Weights = z.object({ hung: z.int(), completed: z.int() })
const BanRow = z.object({
  digest: Bytes32,
  for_all: z.int(),
  until_ms: z.int(),
  author: z.string(),
  sequence: z.int(),
})

export function createKernelRegister(deps: KernelRegisterDeps): KernelRegisterApi {
  const { storage, nowMs, log } = deps
  const { sql } = storage
  storage.transactionSync(() => openSchema(storage, KERNELS_SCHEMA))
  const changed = (since: number): KernelBans<AuthoredBan> => {
    forget(sql, nowMs())
    const rows = sql
      .exec('SELECT * FROM kernel_bans ORDER BY sequence')
      .toArray()
      .map((row) => BanRow.parse(row))
    const sequence = rows.at(-1)?.sequence ?? 0
    // A hub that has seen a higher sequence has seen another register than this one.
    const fresh = rows.filter((row) => since > sequence || row.sequence > since)
    return {
      sequence,
      bans: fresh.map(({ digest, for_all, until_ms, author }) => ({
        digest,
        isForAll: for_all === 1,
        untilMs: until_ms,
        author,
      })),
    }
  }
  return {
    report: async (reports, since) =>
      storage.transactionSync(() => {
        // First, so that outdated reports do not count.
        forget(sql, nowMs())
        for (const report of reports) {
          if (!isHeard(sql, report)) continue
          note(sql, report, nowMs())
          if (report.isHung) weigh(deps, report)
        }
        return changed(since)
      }),
    async bans(since) {
      const { sequence, bans } = storage.transactionSync(() => changed(since))
      log.debug('kernels.bans-told', { since, sequence })
      const bare = bans.map(({ digest, isForAll, untilMs }) => ({ digest, isForAll, untilMs }))
      return { sequence, bans: bare }
    },
  }
}

type Sql = DurableStorage['sql']

const KERNELS_SCHEMA: Schema = {
  store: 'kernel register',
  migrations: [
    [
      `CREATE TABLE kernel_reports (
        digest TEXT NOT NULL, reporter TEXT NOT NULL, vouched INTEGER NOT NULL, hung INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, PRIMARY KEY (digest, reporter))`,
      'CREATE INDEX kernel_reports_at ON kernel_reports (hung, at_ms)',
      'CREATE INDEX kernel_reports_reporter ON kernel_reports (reporter, hung)',
      // A row gets a new sequence with each change: AUTOINCREMENT never gives one twice.
      `CREATE TABLE kernel_bans (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, for_all INTEGER NOT NULL,
        until_ms INTEGER NOT NULL, author TEXT NOT NULL)`,
    ],
  ],
}

function isHeard(sql: Sql, { reporter, isVouched, isHung }: KernelReport): boolean {
  if (isVouched || !isHung) return true
  const query =
    'SELECT count(*) FROM kernel_reports WHERE reporter = ? AND hung = 1 AND digest NOT IN (SELECT digest FROM kernel_bans)'
  return (numberIn(sql.exec(query, reporter).toArray()) ?? 0) < UNHEEDED_REPORTS
}

/** A reporter has one report per kernel. A hang outweighs a completed run. */
function note(
  sql: Sql,
  { digest, reporter, isVouched, isHung }: KernelReport,
  nowMs: number,
): void {
  sql.exec(
    'INSERT INTO kernel_reports (digest, reporter, vouched, hung, at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET hung = max(hung, excluded.hung), vouched = iif(hung = excluded.hung, max(vouched, excluded.vouched), iif(hung = 1, vouched, excluded.vouched)), at_ms = excluded.at_ms',
    digest,
    reporter,
    Number(isVouched),
    Number(isHung),
    nowMs,
  )
}

/** Everybody's reports protect public nodes. Only vouched reports protect vouched nodes, so that strangers cannot take a kernel from them. */
function weigh({ storage: { sql }, nowMs, log }: KernelRegisterDeps, report: KernelReport): void {
  const { digest, author } = report
  const isForAll = amounts(sql, digest, 1)
  if (!isForAll && !amounts(sql, digest, 0)) return
  const [row] = sql.exec('SELECT * FROM kernel_bans WHERE digest = ?', digest).toArray()
  if (row !== undefined && BanRow.parse(row).for_all >= Number(isForAll)) return
  const untilMs = nowMs() + (isForAll ? KERNEL_BAN_MS : KERNEL_PUBLIC_BAN_MS)
  sql.exec('DELETE FROM kernel_bans WHERE digest = ?', digest)
  sql.exec(
    'INSERT INTO kernel_bans (digest, for_all, until_ms, author) VALUES (?, ?, ?, ?)',
    digest,
    Number(isForAll),
    untilMs,
    author,
  )
  log.error('kernel.banned', { digest, author, isForAll })
}

/** Tells whether the reports with at least this much vouching amount to a ban. */
function amounts(sql: Sql, digest: Bytes32, leastVouched: 0 | 1): boolean {
  const [row] = sql
    .exec(
      `SELECT coalesce(sum(hung * iif(vouched = 1, ${VOUCHED_WEIGHT}, ${PUBLIC_WEIGHT})), 0) AS hung, coalesce(sum(1 - hung), 0) AS completed FROM kernel_reports WHERE digest = ? AND vouched >= ?`,
      digest,
      leastVouched,
    )
    .toArray()
  const { hung, completed } = Weights.parse(row)
  return hung >= Math.min(MOST_WEIGHT, LEAST_WEIGHT + completed)
}

/** The two kinds of reports are bounded separately: a flood of one must not displace the other. */
function forget(sql: Sql, nowMs: number): void {
  sql.exec('DELETE FROM kernel_reports WHERE at_ms < ?', nowMs - KERNEL_REPORT_MS)
  for (const hung of [0, 1])
    sql.exec(
      'DELETE FROM kernel_reports WHERE rowid IN (SELECT rowid FROM kernel_reports WHERE hung = ? ORDER BY at_ms DESC LIMIT -1 OFFSET ?)',
      hung,
      KERNEL_REPORTS,
    )
  sql.exec(
    'DELETE FROM kernel_bans WHERE until_ms < ? OR sequence IN (SELECT sequence FROM kernel_bans ORDER BY sequence DESC LIMIT -1 OFFSET ?)',
    nowMs,
    KERNEL_BANS,
  )
}
