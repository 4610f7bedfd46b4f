/** A tenant's log as others see it: signed checkpoints, proofs and searches. */
import { logOrigin, parseDetail } from '#shared/audit/entries.ts'
import { createLogSigner, type LogSigner } from '#shared/audit/checkpoint.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { AppError } from '#shared/base/errors.ts'
import { nameHash, type Bytes32 } from '#shared/base/ids.ts'
import { consistencyProof, inclusionProof } from '#shared/proof/tree.ts'
import {
  type SignedCheckpoint,
  type TenantLog,
  AUDIT_PAGE_ENTRIES,
} from '#worker/protocols/audit.ts'
import type { TenantDatabase } from './database.ts'
import type { RefusalStore } from './refusal-store.ts'

/** Names the log, and holds the deployment's key that signs it. */
export interface LogIdentity {
  readonly domain: Domain
  /** Undefined when the deployment has no log key: the log is then kept, but nothing of it is signed. */
  readonly seed: Bytes32 | undefined
}

export interface OwnLog extends TenantLog {
  readonly domain: Domain
}

interface TenantLogParts {
  readonly identity: LogIdentity
  readonly refusals: RefusalStore
}

export function createTenantLog(database: TenantDatabase, parts: TenantLogParts): OwnLog {
  const { audit } = database
  const { domain, seed } = parts.identity
  let signer: Promise<LogSigner> | undefined
  let newest: SignedCheckpoint | undefined
  const checkpoint = async (): Promise<SignedCheckpoint> => {
    const size = audit.size()
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

    head(since = 0) {
      if (!database.exists()) return null
      const size = audit.size()
      const consistency =
        since > size ? [] : consistencyProof({ from: since, to: size }, audit.reader())
      return { tenant: nameHash(database.tenant()), size, root: audit.root(size), consistency }
    },

    inclusion({ index, size }) {
      checkSizes(index + 1, size, audit.size())
      return inclusionProof({ index, size }, audit.reader())
    },

    consistency({ from, to }) {
      checkSizes(from, to, audit.size())
      return consistencyProof({ from, to }, audit.reader())
    },

    search: (query) => audit.search({ ...query, limit: Math.min(query.limit, AUDIT_PAGE_ENTRIES) }),

    recordExport(given) {
      const detail = parseDetail('audit.exported', given)
      database.transaction(() => audit.append([{ type: 'audit.exported', detail, untilMs: null }]))
    },

    recordRefusals: (given) => parts.refusals.record(given),
  }
}

/** @throws {AppError} invalid_request */
export function checkSizes(from: number, to: number, size: number): void {
  if (from >= 0 && from <= to && to <= size) return
  throw new AppError(
    'invalid_request',
    `The log has ${size} entries, so nothing in it goes from ${from} to ${to}.`,
  )
}
