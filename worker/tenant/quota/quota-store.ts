/** A tenant's quota, and what isolates have leased of each window. */
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import { Quota, type QuotaState, type TenantQuota } from '#worker/protocols/quota.ts'

/** Requests of a quota that an isolate takes at a time. */
const QUOTA_LEASES = 50

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export function createQuotaStore(database: TenantDatabase, { nowMs }: TenantDeps): TenantQuota {
  const windows = createWindows(database)
  const read = () => Quota.parse(JSON.parse(database.setting('quota') ?? '{}'))
  const state = (): QuotaState => {
    const now = nowMs()
    return {
      ...read(),
      requestsThisMinute: windows.taken('requests', startOf(now, MINUTE_MS)),
      spentMicroUsdToday: windows.taken('spend', startOf(now, DAY_MS)),
    }
  }
  return {
    state,

    leaseRequests() {
      const quota = read()
      const startMs = startOf(nowMs(), MINUTE_MS)
      const left = Math.max(0, quota.requestsPerMinute - windows.taken('requests', startMs))
      const granted = blockOf(quota.requestsPerMinute, left)
      windows.take('requests', startMs, granted)
      return { quota, windowEndsAtMs: startMs + MINUTE_MS, granted, remaining: left - granted }
    },

    leaseSpend(wantedMicroUsd) {
      const { spendMicroUsdPerDay: capMicroUsd } = read()
      const startMs = startOf(nowMs(), DAY_MS)
      const lease = { dayEndsAtMs: startMs + DAY_MS, capMicroUsd }
      if (capMicroUsd === null) return { ...lease, grantedMicroUsd: 0 }
      const left = capMicroUsd - windows.taken('spend', startMs)
      if (left < wantedMicroUsd) return { ...lease, grantedMicroUsd: 0 }
      const grantedMicroUsd = Math.max(wantedMicroUsd, blockOf(capMicroUsd, left))
      windows.take('spend', startMs, grantedMicroUsd)
      return { ...lease, grantedMicroUsd }
    },

    set(change) {
      const before = read()
      const { spendMicroUsdPerDay: cap = before.spendMicroUsdPerDay, ...rest } = change
      const spendMicroUsdPerDay = cap === 'none' ? null : cap
      const text = JSON.stringify(Quota.parse({ ...before, ...rest, spendMicroUsdPerDay }))
      if (JSON.stringify(before) !== text) {
        database.write('quota.set', text, () => database.set('quota', text))
      }
      return state()
    },
  }
}

/** A fiftieth of the whole, less towards the end, so that idle isolates hold little unused quota. */
function blockOf(whole: number, left: number): number {
  const block = Math.min(Math.ceil(whole / QUOTA_LEASES), Math.ceil(left / 4))
  return Math.min(left, Math.max(1, block))
}

function startOf(nowMs: number, windowMs: number): number {
  return nowMs - (nowMs % windowMs)
}

function createWindows({ rows, number }: TenantDatabase) {
  const taken = (name: string, startMs: number): number =>
    number('SELECT taken FROM quota_windows WHERE name = ? AND start_ms = ?', name, startMs) ?? 0
  return {
    taken,
    take(name: string, startMs: number, amount: number) {
      if (amount === 0) return
      rows(
        'INSERT OR REPLACE INTO quota_windows (name, start_ms, taken) VALUES (?, ?, ?)',
        name,
        startMs,
        taken(name, startMs) + amount,
      )
    },
  }
}
