/** Takes receipts in: checks their authenticity and content, and that a job is paid once. */
import { checkAuthenticity, checkContent, type Check } from '#shared/receipt/check-receipt.ts'
import type { Domain } from '#shared/proof/domain.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { DUPLICATE_JOB, type AcceptOutcome, type LedgerEntry } from '#worker/protocols/ledger.ts'
import type { KeptReceipt, ReceiptStore } from './receipt-store.ts'

export interface IntakeDeps {
  readonly receipts: ReceiptStore
  readonly storage: Pick<DurableStorage, 'transactionSync'>
  /** Null while no chain is configured: receipts are then checked against the domain that they name. */
  readonly domain: Domain | null
  readonly nowMs: () => number
}

/**
 * Takes receipts in order, or repeats their earlier outcome. All signatures are checked first, so that the receipts are
 * kept in one write.
 */
export async function takeReceipts(
  entries: readonly LedgerEntry[],
  deps: IntakeDeps,
): Promise<AcceptOutcome[]> {
  const verdicts = await Promise.all(entries.map((entry) => judge(entry, deps)))
  return deps.storage.transactionSync(() =>
    entries.map((entry, index) => take(entry, verdicts[index], deps)),
  )
}

/** Undefined for a known receipt that brings nothing new. */
async function judge(
  { receipt: signed, consumer }: LedgerEntry,
  { receipts, domain, nowMs }: IntakeDeps,
): Promise<Verdict | undefined> {
  if (consumer === null && receipts.find(signed.id) !== undefined) return undefined
  return check(signed, { domain: domain ?? signed.domain, nowMs: nowMs() })
}

function take(
  { receipt: signed, consumer, isLater = false }: LedgerEntry,
  verdict: Verdict | undefined,
  { receipts }: IntakeDeps,
): AcceptOutcome {
  const { id } = signed
  if (verdict?.forged !== undefined) return { id, status: 'refused', refusal: verdict.forged }
  const { jobId, tenant } = signed.receipt.ticket
  if (consumer !== null) receipts.learnConsumer(tenant, consumer)
  // Looked up only now: another call or an earlier entry may have taken the receipt or its job.
  if (verdict !== undefined && receipts.find(id) === undefined) {
    // Only the first accepted receipt of a job is paid, whatever its attempt.
    const isPaidElsewhere = isLater || receipts.hasAccepted(jobId)
    const duplicate = isPaidElsewhere ? DUPLICATE_JOB : null
    receipts.insert(signed, verdict.broken ?? duplicate)
  }
  const kept = receipts.find(id)
  return kept === undefined ? { id, status: 'refused', refusal: 'receipt.id' } : outcomeOf(kept)
}

interface Verdict {
  readonly forged: string | undefined
  readonly broken: string | undefined
}

/** A receipt that makes the checks throw is refused; it must not delay those beside it. */
async function check(
  signed: LedgerEntry['receipt'],
  { domain, nowMs }: { readonly domain: Domain; readonly nowMs: number },
): Promise<Verdict> {
  try {
    const forged = firstFailure(await checkAuthenticity(signed, domain))
    const broken = forged === undefined ? firstFailure(checkContent(signed, nowMs)) : undefined
    return { forged, broken }
  } catch {
    return { forged: 'receipt.malformed', broken: undefined }
  }
}

function outcomeOf({ id, state, refusal }: KeptReceipt): AcceptOutcome {
  return { id, status: state, refusal }
}

/** The first rule that failed; for `place`, the compute rule behind it. */
function firstFailure(checks: readonly Check[]): string | undefined {
  const failed = checks.find(({ ok }) => !ok)
  return failed?.rule === 'place' ? failed.detail.split(':')[0] : failed?.rule
}
