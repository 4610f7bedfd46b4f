/** Evidence records that receipts name by hash. One record serves all receipts of a node until the next conclusion. */
import { evidenceHash, EvidenceRecord } from '#shared/place/evidence.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { TenantJobs } from '#worker/protocols/audit.ts'

type Rows = TenantDatabase['rows']

/** Keeps a record as long as the last receipt that names it. */
export function keepEvidence(rows: Rows, record: EvidenceRecord, untilMs: number): void {
  rows(
    'INSERT INTO evidence VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)',
    evidenceHash(record),
    JSON.stringify(record),
    untilMs,
  )
}

export function readEvidence(
  rows: Rows,
  receipts: readonly SignedReceipt[],
): TenantJobs['evidence'] {
  const hashes = new Set(receipts.map(({ receipt }) => receipt.ticket.place.evidenceHash))
  return [...hashes].flatMap((hash) => {
    const [row] = rows('SELECT record FROM evidence WHERE hash = ?', hash)
    if (row === undefined) return []
    return [{ hash, record: EvidenceRecord.parse(JSON.parse(String(row['record']))) }]
  })
}
