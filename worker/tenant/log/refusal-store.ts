/** Writes refusals to a tenant's log: a limited number of each key a minute, and the rest as one count. */
import { parseDetail } from '#shared/audit/entries.ts'
import { type Refusal, AUDIT_REFUSAL_KINDS } from '#worker/protocols/audit.ts'
import { type Kept, PHI_AUDIT_DAYS } from './audit-store.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'

/** Refusals of one key that are logged one by one. The rest are counted. */
export const AUDIT_REFUSALS_PER_MINUTE = 30

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** For refusals without a policy: the default of a policy's retention. */
const DEFAULT_DAYS = 30

export type RefusalStore = ReturnType<typeof createRefusalStore>

export function createRefusalStore(database: TenantDatabase, deps: TenantDeps) {
  const { rows, transaction, audit } = database
  const { nowMs } = deps
  /** By the version that keeps longest, because a refusal does not name its version. */
  const keptAs = (policyId: string | null): Kept => {
    const days = "json_extract(policy, '$.retentionDays')"
    const phi = "json_extract(policy, '$.dataClass') = 'phi'"
    const query = `SELECT max(CASE WHEN ${phi} THEN ? ELSE ${days} END) AS days, max(${phi}) AS phi FROM policies WHERE id = ?`
    const [row] = rows(query, PHI_AUDIT_DAYS, policyId ?? '')
    const untilMs = nowMs() + Number(row?.['days'] ?? DEFAULT_DAYS) * DAY_MS
    return { untilMs, held: Number(row?.['phi'] ?? 0) === 1 }
  }
  const append = (detail: Refusal) => {
    audit.append([{ type: 'job.refused', detail, ...keptAs(detail.policyId) }])
  }
  const settle = () => {
    const startMs = nowMs() - (nowMs() % MINUTE_MS)
    for (const row of rows('SELECT * FROM refusal_minutes WHERE start_ms < ?', startMs)) {
      const [key, count] = [String(row['key']), Number(row['more'])]
      const firstAtMs = Number(row['start_ms'])
      rows('DELETE FROM refusal_minutes WHERE key = ?', key)
      if (count === 0) continue
      append({
        jobId: null,
        by: key === '' ? null : key,
        code: 'more',
        rule: null,
        policyId: null,
        count,
        firstAtMs,
        lastAtMs: firstAtMs + MINUTE_MS,
      })
    }
  }
  const take = (refusal: Refusal) => {
    const startMs = nowMs() - (nowMs() % MINUTE_MS)
    const key = refusal.by ?? ''
    const logged = database.number('SELECT logged FROM refusal_minutes WHERE key = ?', key) ?? 0
    const isOver = logged >= AUDIT_REFUSALS_PER_MINUTE
    rows(
      'INSERT INTO refusal_minutes VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET ' +
        'logged = logged + excluded.logged, more = more + excluded.more',
      key,
      startMs,
      isOver ? 0 : 1,
      isOver ? refusal.count : 0,
    )
    if (isOver) deps.wakeAt?.(startMs + MINUTE_MS)
    else append(refusal)
  }
  return {
    record(refusals: readonly Refusal[]): void {
      transaction(() => {
        settle()
        for (const refusal of refusals.slice(0, AUDIT_REFUSAL_KINDS))
          take(parseDetail('job.refused', refusal))
      })
    },
    /** Logs the counts of minutes that have ended. */
    settle(): void {
      if (!database.exists()) return
      transaction(settle)
    },
  }
}
