/** Reads a group of receipts, once each. A group that any fault is in is refused as a whole. */
import type { GroupedReceipt, ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { receiptUntilMs } from '#shared/audit/receipt.ts'
import { AppError } from '#shared/base/errors.ts'
import { nameHash, type Bytes32, type TenantId } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { RECEIPT_LAYOUT, type Receipt } from '#shared/receipt/receipt.ts'
import { nameRecord, readRecords, type NamedRecord } from './named-records.ts'

/** A receipt of a group, and what it says. */
export interface ReadReceipt {
  readonly id: Bytes32
  readonly grouped: GroupedReceipt
  readonly receipt: Receipt
  readonly policy: CompiledPolicy
  /** Its policy, presence and evidence. */
  readonly records: {
    readonly policy: NamedRecord
    readonly presence: NamedRecord
    readonly evidence: NamedRecord | undefined
  }
  /** Hash of the job's id. */
  readonly job: Bytes32
  readonly untilMs: number
}

/** @throws {AppError} forbidden for another tenant's receipt, invalid_request for bytes or names that fit nothing */
export function readGroup(group: ReceiptGroup, tenant: TenantId): ReadReceipt[] {
  const records = readRecords(group)
  return group.receipts.map((grouped) => {
    const { value: receipt } = RECEIPT_LAYOUT.decode(grouped.receipt)
    const { ticket } = receipt
    const policy = records.policy(ticket.policyHash)
    if (ticket.tenant !== tenant || policy.tenant !== tenant)
      throw new AppError(
        'forbidden',
        `Receipt ${grouped.id} is of tenant ${ticket.tenant} under a policy of ${policy.tenant}; ${tenant} keeps only its own.`,
      )
    return {
      id: grouped.id,
      grouped,
      receipt,
      policy,
      records: {
        policy: nameRecord('policy', policy.hash, policy),
        presence: records.presence(grouped.presence),
        evidence: records.evidence(ticket.place.evidenceHash),
      },
      job: nameHash(ticket.jobId),
      untilMs: receiptUntilMs({ receipt, policy }),
    }
  })
}
