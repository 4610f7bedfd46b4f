/** Counts a tenant's jobs by policy and place, for the record of processing activities. No count is about a person. */
import { z } from 'zod'
import { Placement } from '#worker/protocols/audit.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { ReadReceipt } from './read-group.ts'

export function countPlacements(
  rows: TenantDatabase['rows'],
  receipts: readonly ReadReceipt[],
): void {
  const groups = Map.groupBy(receipts, ({ receipt, policy }) => {
    const { country, evidence, trust } = receipt.ticket.place
    return JSON.stringify([policy.id, policy.version, country, evidence, trust])
  })
  const counts = [...groups].map(([place, group]) => {
    const times = group.map(({ receipt }) => receipt.ticket.issuedAtMs)
    return [
      ...(JSON.parse(place) as unknown[]),
      times.length,
      Math.min(...times),
      Math.max(...times),
    ]
  })
  rows(COUNT, JSON.stringify(counts))
}

const COUNT = `INSERT INTO placements
  SELECT ${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `value ->> ${i}`).join(', ')} FROM json_each(?) WHERE true
  ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, firstAtMs = min(firstAtMs, excluded.firstAtMs),
    lastAtMs = max(lastAtMs, excluded.lastAtMs)`

export function readPlacements(rows: TenantDatabase['rows']): Placement[] {
  return z
    .array(Placement)
    .parse(rows('SELECT * FROM placements ORDER BY policy, version, country'))
}
