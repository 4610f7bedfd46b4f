/** What a tenant's log shows to others: signed checkpoints, proofs, and its part of a bundle. */
import { NOT_NARROWED, type BundledPolicy } from '#shared/audit-bundle.ts'
import { logOrigin, receiptIdOf, type LogEntry, type LogProgress } from '#shared/audit.ts'
import { createLogSigner, type LogSigner } from '#shared/checkpoint.ts'
import type { Domain } from '#shared/eip712.ts'
import { AppError } from '#shared/errors.ts'
import { nameHash, type Bytes32 } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { consistencyProof, inclusionProof } from '#shared/transparency-log.ts'
import type { SignedReceipt } from '#shared/receipt.ts'
import type { AuditPage, AuditQuery, AuditStore } from './audit-store.ts'
import type { TenantDatabase } from './database.ts'
import type { PolicyStore } from './policy-store.ts'
import type { BundleSelection, TenantBundle } from './protocol.ts'
import type { ReceiptLog } from './receipt-log.ts'

/** Which log it is, and the deployment's key that signs it. */
export interface LogIdentity {
  readonly domain: Domain
  /** Undefined where the deployment has none: the log is kept, and nothing of it can be shown to others. */
  readonly seed: Bytes32 | undefined
}

/** A log as it stood, signed. */
export interface SignedCheckpoint {
  readonly note: string
  readonly size: number
  readonly root: Bytes32
}

export type AuditReader = ReturnType<typeof createAuditReader>

interface Kept {
  readonly receipts: Pick<ReceiptLog, 'find' | 'evidenceOf'>
  readonly policies: Pick<PolicyStore, 'version'>
}

export function createAuditReader(
  database: TenantDatabase,
  { receipts, policies }: Kept,
  { domain, seed }: LogIdentity,
) {
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

    search(query: AuditQuery): AuditPage {
      database.tenant()
      return audit.search({ ...query, limit: Math.min(query.limit, LIMITS.auditPageEntries) })
    },

    range(from: number, to: number): LogEntry[] {
      database.tenant()
      return audit.range(from, Math.min(to, from + LIMITS.auditPageEntries))
    },

    /** Entries with their proofs, and the receipts of the jobs that they place. @throws {AppError} not_found */
    async bundle(selection: BundleSelection): Promise<TenantBundle> {
      sizeNow()
      const signed = await checkpoint()
      const entries = selectEntries(audit, selection)
      if (entries.length === 0)
        throw new AppError('not_found', 'The log has no such entries, or they are erased.')
      const read = audit.reader()
      const ids = entries.flatMap((entry) => receiptIdOf(entry) ?? [])
      const placed = ids.flatMap((id) => receipts.find(id)?.receipt ?? [])
      const isJob = 'jobId' in selection
      return {
        tenant: database.tenant(),
        domain,
        checkpoint: signed.note,
        size: signed.size,
        range: isJob ? { from: 0, to: signed.size } : selection,
        selection: { ...NOT_NARROWED, job: isJob ? selection.jobId : null },
        policies: policiesOf(placed, policies),
        entries: entries.map((entry) => ({
          ...entry,
          proof: inclusionProof({ index: entry.sequence, size: signed.size }, read),
        })),
        receipts: placed,
        evidence: receipts.evidenceOf(placed),
      }
    },
  }
}

function selectEntries(audit: AuditStore, selection: BundleSelection): LogEntry[] {
  if ('jobId' in selection) return audit.ofJob(selection.jobId).map(({ entry }) => entry)
  const { from, to } = selection
  checkSizes(from, to, audit.size())
  if (to - from > LIMITS.auditBundleEntries)
    throw new AppError('too_large', `A bundle has at most ${LIMITS.auditBundleEntries} entries.`)
  return audit.range(from, to)
}

/** @throws {AppError} invalid_request */
function checkSizes(from: number, to: number, size: number): void {
  if (from >= 0 && from <= to && to <= size) return
  throw new AppError(
    'invalid_request',
    `The log has ${size} entries, so nothing in it goes from ${from} to ${to}.`,
  )
}

/** Each once. */
function policiesOf(
  placed: readonly SignedReceipt[],
  policies: Pick<PolicyStore, 'version'>,
): BundledPolicy[] {
  const named = new Map(placed.map(({ policy }) => [policy.hash, policy]))
  return [...named.values()].flatMap(({ id, version }) => {
    const published = policies.version(id, version)
    return published === undefined ? [] : [{ version, policy: published.policy }]
  })
}
