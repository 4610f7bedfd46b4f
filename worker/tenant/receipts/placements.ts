/** Counts a tenant's jobs by policy and place, for the record of processing activities. No count is about a person. */
import { z } from 'zod'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { Placement } from '#worker/protocols/audit.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'

export function countPlacement(rows: TenantDatabase['rows'], signed: SignedReceipt): void {
  const { policy, receipt } = signed
  const { place, issuedAtMs } = receipt.ticket
  rows(
    'INSERT INTO placements VALUES (?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET jobs = jobs + 1, ' +
      'firstAtMs = min(firstAtMs, excluded.firstAtMs), lastAtMs = max(lastAtMs, excluded.lastAtMs)',
    policy.id,
    policy.version,
    place.country,
    place.evidence,
    place.trust,
    issuedAtMs,
    issuedAtMs,
  )
}

export function readPlacements(rows: TenantDatabase['rows']): Placement[] {
  return z
    .array(Placement)
    .parse(rows('SELECT * FROM placements ORDER BY policy, version, country'))
}
