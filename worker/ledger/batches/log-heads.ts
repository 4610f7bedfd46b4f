/** The audit logs as the Ledger last saw them. A log that shrank or changed its past does not get onto the chain. */
import { TenantCheckpoint, type LogProgress } from '#shared/audit/entries.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import { nameHash, type TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { verifyConsistency } from '#shared/proof/tree.ts'
import type { Rows } from '#worker/ledger/intake/database.ts'

/** Time that the Ledger waits for the head of one tenant's audit log. */
const LOG_HEAD_TIMEOUT_MS = 5_000

export interface LogHeadDeps {
  /** Asks the tenant itself; null when it has no log. */
  readonly checkpointOf: (tenant: TenantId, since: number) => Promise<LogProgress | null>
  readonly log: Log
}

/** @returns a tenant's newest checkpoint; the last known one when the tenant does not answer; null when its log has forked */
export function createLogHeads(rows: Rows, { checkpointOf, log }: LogHeadDeps) {
  return async (tenant: TenantId): Promise<TenantCheckpoint | null> => {
    const hash = nameHash(tenant)
    const [row] = rows('SELECT * FROM log_heads WHERE tenant = ?', hash)
    const known = row === undefined ? null : TenantCheckpoint.parse(row)
    // A tenant that does not answer must not delay the batch of the others.
    const asked = await beforeDeadline(checkpointOf(tenant, known?.size ?? 0), {
      timeoutMs: LOG_HEAD_TIMEOUT_MS,
      what: "The tenant's answer",
    }).catch((error: unknown) => {
      log.warn('log-head.not-read', { tenant, cause: String(error) })
      return null
    })
    if (asked === null) return known
    const newest = { tenant: hash, size: asked.size, root: asked.root }
    if (known !== null && !isExtension(known, asked)) {
      log.error('log-head.forked', { tenant, size: newest.size, knownSize: known.size })
      return null
    }
    const change = 'INSERT OR REPLACE INTO log_heads (tenant, size, root) VALUES (?, ?, ?)'
    rows(change, hash, newest.size, newest.root)
    return newest
  }
}

function isExtension(known: TenantCheckpoint, { size, root, consistency }: LogProgress): boolean {
  return verifyConsistency({
    from: known.size,
    to: size,
    fromRoot: known.root,
    toRoot: root,
    proof: consistency,
  })
}
