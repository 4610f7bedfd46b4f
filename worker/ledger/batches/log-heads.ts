/** The audit logs as the Ledger last saw them: a log that shrank or changed its past does not get onto the chain. */
import { TenantCheckpoint, type LogProgress } from '#shared/audit/entries.ts'
import { nameHash, type TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { verifyConsistency } from '#shared/audit/transparency-log.ts'
import type { Rows } from '#worker/ledger/intake/database.ts'

export interface LogHeadDeps {
  /** Asks the tenant itself; null where it has no log. */
  readonly checkpointOf: (tenant: TenantId, since: number) => Promise<LogProgress | null>
  readonly log: Log
}

/** @returns the newest checkpoint of a tenant, the last one known when it does not answer, null when it has forked */
export function createLogHeads(rows: Rows, { checkpointOf, log }: LogHeadDeps) {
  return async (tenant: TenantId): Promise<TenantCheckpoint | null> => {
    const hash = nameHash(tenant)
    const [row] = rows('SELECT * FROM log_heads WHERE tenant = ?', hash)
    const known = row === undefined ? null : TenantCheckpoint.parse(row)
    const asked = await ask(checkpointOf(tenant, known?.size ?? 0)).catch((error: unknown) => {
      log.warn('log-head.not-read', { tenant, cause: String(error) })
      return null
    })
    if (asked === null) return known
    const newest = { tenant: hash, size: asked.size, root: asked.root }
    if (known !== null && !goesOn(known, asked)) {
      log.error('log-head.forked', { tenant, size: newest.size, knownSize: known.size })
      return null
    }
    const change = 'INSERT OR REPLACE INTO log_heads (tenant, size, root) VALUES (?, ?, ?)'
    rows(change, hash, newest.size, newest.root)
    return newest
  }
}

function goesOn(known: TenantCheckpoint, { size, root, consistency }: LogProgress): boolean {
  return verifyConsistency({
    from: known.size,
    to: size,
    fromRoot: known.root,
    toRoot: root,
    proof: consistency,
  })
}

/** A tenant that does not answer must not hold up the batch of the others. */
async function ask<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), LIMITS.logHeadTimeoutMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    if (timer !== undefined) clearTimeout(timer)
  }
}
