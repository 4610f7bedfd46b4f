/** The log entries that follow from a receipt. The tenant writes them, and a verifier checks them. */
import type { AuditDetail } from './entries.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'

const DAY_MS = 86_400_000

/** A receipt, signed or not, with its policy. */
export type PolicedReceipt = Pick<SignedReceipt, 'receipt' | 'policy'>

/** When the receipt is erased, by the hub's clock. A node's clock could erase it at once, or keep it for ever. */
export function receiptUntilMs({ receipt, policy }: PolicedReceipt): number {
  return receipt.ticket.issuedAtMs + policy.retentionDays * DAY_MS
}

export function admissionOf({ policy, receipt }: PolicedReceipt): AuditDetail<'job.admitted'> {
  const { jobId, attempt, policyHash, allowed, issuedAtMs } = receipt.ticket
  return {
    jobId,
    attempt,
    policyId: policy.id,
    policyVersion: policy.version,
    policyHash,
    allowed,
    atMs: issuedAtMs,
  }
}

export function placementOf(
  placed: PolicedReceipt & Pick<SignedReceipt, 'id'>,
): AuditDetail<'job.placed'> {
  const { jobId, hub, nodeId, place } = placed.receipt.ticket
  return {
    jobId,
    receiptId: placed.id,
    hub,
    nodeId,
    place,
    finishedAtMs: placed.receipt.finishedAtMs,
    receiptUntilMs: receiptUntilMs(placed),
  }
}
