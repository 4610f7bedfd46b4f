/** What a tenant's log shows to others: signed checkpoints, proofs, and its part of a bundle. */
import { logOrigin, type LogEntry, type LogProgress } from '#shared/audit/entries.ts'
import { createLogSigner, type LogSigner } from '#shared/audit/checkpoint.ts'
import type { Domain } from '#shared/base/eip712.ts'
import { AppError } from '#shared/base/errors.ts'
import { nameHash, type Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { consistencyProof, inclusionProof } from '#shared/audit/transparency-log.ts'
import type { AuditPage, AuditQuery, SignedCheckpoint } from '#worker/protocols/audit.ts'
import type { TenantDatabase } from './database.ts'

/** Which log it is, and the deployment's key that signs it. */
export interface LogIdentity {
  readonly domain: Domain
  /** Undefined where the deployment has none: the log is kept, and nothing of it can be shown to others. */
  readonly seed: Bytes32 | undefined
}

export type AuditReader = ReturnType<typeof createAuditReader>

export function createAuditReader(database: TenantDatabase, { domain, seed }: LogIdentity) {
  const { audit } = database
  let signer: Promise<LogSigner> | undefined
  let newest: SignedCheckpoint | undefined
  const sizeNow = (): number => {
    database.tenant()
    return audit.size()
  }
  const checkpoint = async (): Promise<SignedCheckpoint> => {
    const size = sizeNow()
    if (newest?.size === size) return newest
    if (seed === undefined)
      throw new AppError('forbidden', 'This deployment has no LOG_KEY, so it signs no checkpoints.')
    const head = { origin: logOrigin(domain, database.tenant()), size, root: audit.root(size) }
    signer ??= createLogSigner(seed)
    const note = await (await signer).sign(head)
    newest = { note, size, root: head.root }
    return newest
  }
  return {
    domain,
    checkpoint,

    /** @param since a size that somebody has seen */
    head(since = 0): LogProgress | null {
      if (!database.exists()) return null
      const size = audit.size()
      const consistency =
        since > size ? [] : consistencyProof({ from: since, to: size }, audit.reader())
      return { tenant: nameHash(database.tenant()), size, root: audit.root(size), consistency }
    },

    inclusion({ index, size }: { readonly index: number; readonly size: number }): Bytes32[] {
      checkSizes(index + 1, size, sizeNow())
      return inclusionProof({ index, size }, audit.reader())
    },

    consistency({ from, to }: { readonly from: number; readonly to: number }): Bytes32[] {
      checkSizes(from, to, sizeNow())
      return consistencyProof({ from, to }, audit.reader())
    },

    range(from: number, to: number): LogEntry[] {
      database.tenant()
      return audit.range(from, Math.min(to, from + LIMITS.auditPageEntries))
    },

    search(query: AuditQuery): AuditPage {
      database.tenant()
      return audit.search({ ...query, limit: Math.min(query.limit, LIMITS.auditPageEntries) })
    },
  }
}

/** @throws {AppError} invalid_request */
function checkSizes(from: number, to: number, size: number): void {
  if (from >= 0 && from <= to && to <= size) return
  throw new AppError(
    'invalid_request',
    `The log has ${size} entries, so nothing in it goes from ${from} to ${to}.`,
  )
}
