/** Takes receipts in: who said it, whether it may be paid, and that a job is paid once. */
import { checkAuthenticity, checkContent, type Check } from '#shared/receipt/check-receipt.ts'
import type { Domain } from '#shared/base/eip712.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { DUPLICATE_JOB, type AcceptOutcome, type LedgerEntry } from '#worker/protocols/ledger.ts'
import type { KeptReceipt, ReceiptStore } from './receipt-store.ts'

export interface IntakeDeps {
  readonly receipts: ReceiptStore
  readonly storage: Pick<DurableStorage, 'transactionSync'>
  /** Null while no chain is configured: receipts are then checked for the domain that they name. */
  readonly domain: Domain | null
  readonly nowMs: () => number
}

/** The one payable rule: of all receipts of a job the first that was accepted is paid, whichever attempt it is of. */
export function isPayable(acceptedOfJob: Bytes32 | undefined): boolean {
  return acceptedOfJob === undefined
}

/**
 * Takes receipts in their order, or says again what became of them. All signatures are checked first, so that what is
 * kept is one write to the disk.
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

/** Undefined for one that is known already and brings nothing new. */
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
  // Asked only now: another call, or an entry before this one, may have taken it, or its job.
  if (verdict !== undefined && receipts.find(id) === undefined) {
    const isPaidElsewhere = isLater || !isPayable(receipts.acceptedOf(jobId))
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

/** One receipt that the checks themselves choke on is refused; it must not hold up those beside it. */
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

/** The first rule that failed; of `place` the compute rule behind it. */
function firstFailure(checks: readonly Check[]): string | undefined {
  const failed = checks.find(({ ok }) => !ok)
  return failed?.rule === 'place' ? failed.detail.split(':')[0] : failed?.rule
}
