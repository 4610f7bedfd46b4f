/** Queries of the audit API. */
import { z } from 'zod'
import { AUDIT_TYPES } from '#shared/audit/entries.ts'
import { PolicyId } from '#shared/law/policy.ts'
import { AskedJobId } from '#worker/body/asked-id.ts'
import { type BundleQuery, type LogPoint, AUDIT_PAGE_ENTRIES } from '#worker/protocols/audit.ts'

const Index = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

const DAY_MS = 86_400_000

/** A time: milliseconds, a date with time, or a date, which means its begin or its end. */
function timeAt(edge: 'begin' | 'end') {
  const restOfDayMs = edge === 'begin' ? 0 : DAY_MS - 1
  return z.union(
    [
      z.coerce.number().int().min(0),
      z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
      z.iso.date().transform((text) => Date.parse(text) + restOfDayMs),
    ],
    'write a time as 2026-11-22, as 2026-11-22T18:00:00Z, or in milliseconds since 1970 (UTC)',
  )
}

export const SearchQuery = z.strictObject({
  type: z.enum(AUDIT_TYPES).optional(),
  job: AskedJobId.optional(),
  from: timeAt('begin').optional(),
  to: timeAt('end').optional(),
  before: Index.optional(),
  limit: z.coerce.number().int().min(1).max(AUDIT_PAGE_ENTRIES).default(100),
})

export const InclusionQuery = z.strictObject({ index: Index, size: Index })
export const ConsistencyQuery = z.strictObject({ from: Index, to: Index })

/** Smaller numbers are entry numbers; larger ones are milliseconds (after 1973). */
const FIRST_TIME_MS = 100_000_000_000

/** A position in the log: an entry's number, or a time. */
function pointAt(edge: 'begin' | 'end') {
  return z.union(
    [
      z.coerce
        .number()
        .int()
        .min(0)
        .max(FIRST_TIME_MS - 1)
        .transform((sequence): LogPoint => ({ sequence })),
      timeAt(edge).transform((atMs): LogPoint => ({ atMs })),
    ],
    'write the number of an entry, or a time: 2026-11-22, 2026-11-22T18:00:00Z, or milliseconds since 1970 (UTC)',
  )
}

/** Part of the log: a range, optionally of one policy's jobs or one type. */
const SELECTION = {
  from: pointAt('begin').optional(),
  to: pointAt('end').optional(),
  policy: PolicyId.optional(),
  type: z.enum(AUDIT_TYPES).optional(),
}
export const BundleRequest = z.strictObject(SELECTION)
export const ExportRequest = z.strictObject({
  ...SELECTION,
  format: z.enum(['jsonl', 'csv']).default('jsonl'),
})

export function toBundleQuery(asked: z.infer<typeof BundleRequest>): BundleQuery {
  const { from = null, to = null, policy = null, type = null } = asked
  const timeOf = (point: LogPoint | null) => (point !== null && 'atMs' in point ? point.atMs : null)
  const selection = { fromMs: timeOf(from), toMs: timeOf(to), policy, type, job: null }
  return { from, to, selection }
}
