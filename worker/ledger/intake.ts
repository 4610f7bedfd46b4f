/** Takes receipts in: who said it, whether it may be paid, and that a job is paid once. */
import { checkAuthenticity, checkContent, type Check } from '#shared/check-receipt.ts'
import type { Domain } from '#shared/eip712.ts'
import type { Bytes32 } from '#shared/ids.ts'
import type { DurableStorage } from '../storage.ts'
import type { AcceptOutcome, LedgerEntry } from './protocol.ts'
import type { KeptReceipt, ReceiptStore } from './receipt-store.ts'

export interface IntakeDeps {
  readonly receipts: ReceiptStore
  readonly storage: Pick<DurableStorage, 'transactionSync'>
  /** Null while no chain is configured: receipts are then checked for the domain that they name. */
  readonly domain: Domain | null
}

/** The one payable rule: of all receipts of a job the first that was accepted is paid, whichever attempt it is of. */
export function isPayable(acceptedOfJob: Bytes32 | undefined): boolean {
  return acceptedOfJob === undefined
}

/** Takes one receipt, or says again what became of it. */
export async function takeReceipt(entry: LedgerEntry, deps: IntakeDeps): Promise<AcceptOutcome> {
  const { receipt: signed, consumer } = entry
  const { receipts, storage } = deps
  const known = receipts.find(signed.id)
  if (known !== undefined && consumer === null) return outcomeOf(known)
  const { forged, broken } = await check(signed, deps.domain ?? signed.domain)
  if (forged !== undefined) return { id: signed.id, status: 'refused', refusal: forged }
  return storage.transactionSync(() => {
    const { jobId, tenant } = signed.receipt.ticket
    if (consumer !== null) receipts.learnConsumer(tenant, consumer)
    // Asked again: another call may have taken it, or its job, while this one checked signatures.
    if (receipts.find(signed.id) === undefined) {
      const duplicate = isPayable(receipts.acceptedOf(jobId)) ? null : 'duplicate_job'
      receipts.insert(signed, broken ?? duplicate)
    }
    const kept = receipts.find(signed.id)
    return kept === undefined
      ? { id: signed.id, status: 'refused', refusal: 'receipt.id' }
      : outcomeOf(kept)
  })
}

interface Verdict {
  readonly forged: string | undefined
  readonly broken: string | undefined
}

/** One receipt that the checks themselves choke on is refused; it must not hold up those beside it. */
async function check(signed: LedgerEntry['receipt'], domain: Domain): Promise<Verdict> {
  try {
    const forged = firstFailure(await checkAuthenticity(signed, domain))
    return { forged, broken: forged === undefined ? firstFailure(checkContent(signed)) : undefined }
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
