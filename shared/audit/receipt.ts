/** What a receipt puts into its tenant's log: the same for the tenant that writes it and for the stranger who checks it. */
import type { AuditDetail } from './entries.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'

const DAY_MS = 86_400_000

/** When the receipt is erased. By the hub's clock: the node's own times would let it erase its records at once, or keep them for ever. */
export function receiptUntilMs({ receipt, policy }: SignedReceipt): number {
  return receipt.ticket.issuedAtMs + policy.retentionDays * DAY_MS
}

export function admissionOf({ policy, receipt }: SignedReceipt): AuditDetail<'job.admitted'> {
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

export function placementOf(signed: SignedReceipt): AuditDetail<'job.placed'> {
  const { jobId, hub, nodeId, place } = signed.receipt.ticket
  return {
    jobId,
    receiptId: signed.id,
    hub,
    nodeId,
    place,
    finishedAtMs: signed.receipt.finishedAtMs,
    receiptUntilMs: receiptUntilMs(signed),
  }
}
