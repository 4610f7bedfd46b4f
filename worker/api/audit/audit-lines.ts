/** Writes audit entries as lines of an export: JSON as in the log, or CSV with one fact for each column. */
import { parseDetail, type AuditEvent, type LogEntry } from '#shared/audit/entries.ts'
import { countryCode, listCountries, type CountrySet } from '#shared/law/region.ts'

/** CSV columns, empty where an entry has no such fact. Places are ISO 3166-1 alpha-2; lists are separated by spaces. */
const COLUMNS = [
  'sequence',
  'time',
  'type',
  'job',
  'attempt',
  'policy',
  'policyVersion',
  'policyHash',
  'allowedCountries',
  'receipt',
  'hub',
  'node',
  'country',
  'evidence',
  'evidenceSource',
  'trust',
  'vouchedBy',
  'possibleCountries',
  'evidenceHash',
  'issuedAt',
  'finishedAt',
  'receiptUntil',
  'code',
  'rule',
  'count',
  'firstAt',
  'lastAt',
  'subject',
  'by',
  'format',
  'from',
  'to',
  'erasedJob',
  'erasedEntries',
  'erasedReceipts',
  'salt',
  'commitment',
] as const
type Facts = Partial<Record<(typeof COLUMNS)[number], string | number | null>>

export const CSV_HEAD = toCsvRow(COLUMNS)

export function toJsonLine(entry: LogEntry): string {
  return `${JSON.stringify(entry)}\n`
}

export function toCsvLine(entry: LogEntry): string {
  const { sequence, atMs, type, commitment, opening } = entry
  const facts: Facts = {
    ...(opening === null ? {} : factsOf(readEvent(entry, opening.detail))),
    sequence,
    time: when(atMs),
    type,
    salt: opening?.salt ?? null,
    commitment,
  }
  return toCsvRow(COLUMNS.map((column) => facts[column] ?? ''))
}

/** RFC 4180. All cells but numbers are quoted. */
export function toCsvRow(cells: readonly (string | number)[]): string {
  const line = cells.map((cell) => (typeof cell === 'number' ? String(cell) : quote(cell)))
  return `${line.join(',')}\r\n`
}

/** Prefixes cells that a spreadsheet would run as a formula with an apostrophe. */
function quote(cell: string): string {
  if (cell === '') return ''
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return `"${text.replaceAll('"', '""')}"`
}

function readEvent({ type }: LogEntry, detail: unknown): AuditEvent {
  return { type, detail: parseDetail(type, detail) } as AuditEvent
}

function factsOf(event: AuditEvent): Facts {
  switch (event.type) {
    case 'job.admitted': {
      const { jobId: job, attempt, policyId: policy, policyVersion, policyHash } = event.detail
      const [allowedCountries, issuedAt] = [codes(event.detail.allowed), when(event.detail.atMs)]
      return { job, attempt, policy, policyVersion, policyHash, allowedCountries, issuedAt }
    }
    case 'job.placed': {
      const { jobId: job, receiptId: receipt, hub, nodeId: node, place } = event.detail
      return {
        job,
        receipt,
        hub,
        node,
        country: countryCode(place.country),
        evidence: place.evidence,
        evidenceSource: place.source,
        trust: place.trust,
        vouchedBy: place.voucher,
        possibleCountries: codes(place.possible),
        evidenceHash: place.evidenceHash,
        finishedAt: when(event.detail.finishedAtMs),
        receiptUntil: when(event.detail.receiptUntilMs),
      }
    }
    case 'job.refused': {
      const { jobId: job, by, code, rule, policyId: policy, count } = event.detail
      const [firstAt, lastAt] = [when(event.detail.firstAtMs), when(event.detail.lastAtMs)]
      return { job, by, code, rule, policy, count, firstAt, lastAt }
    }
    case 'audit.exported':
      return event.detail
    case 'job.erased': {
      const { job: erasedJob, entries, receipts, by } = event.detail
      return { erasedJob, erasedEntries: entries.join(' '), erasedReceipts: receipts, by }
    }
    case 'retention.swept': {
      const { entries, receipts } = event.detail
      return { erasedEntries: entries.join(' '), erasedReceipts: receipts }
    }
    case 'policy.published':
    case 'policy.default_set':
    case 'policy.retired':
      return { ...event.detail, ...policyOf(event.detail.subject) }
    default:
      return event.detail
  }
}

/** `meters-de-fr@1`, or a name alone. */
function policyOf(subject: string): Facts {
  const [policy = subject, version] = subject.split('@')
  return { policy, policyVersion: version === undefined ? null : Number(version) }
}

function when(atMs: number): string {
  return new Date(atMs).toISOString()
}

function codes(set: CountrySet): string {
  return listCountries(set).join(' ')
}
