/** A receipt as the contract's struct. */
import { PROVIDERS } from '#shared/job/job.ts'
import { EVIDENCE_CLASSES, EVIDENCE_SOURCES, NODE_TRUSTS } from '#shared/law/policy.ts'
import type { Place, Receipt, Ticket } from '#shared/receipt/receipt.ts'

export function receiptArguments(receipt: Receipt) {
  return {
    ...receipt,
    ticket: ticketArguments(receipt.ticket),
    units: BigInt(receipt.units),
    amountMicroUsd: BigInt(receipt.amountMicroUsd),
    startedAtMs: BigInt(receipt.startedAtMs),
    finishedAtMs: BigInt(receipt.finishedAtMs),
    provider: PROVIDERS.indexOf(receipt.provider),
  }
}

function ticketArguments(ticket: Ticket) {
  return {
    ...ticket,
    allowed: BigInt(ticket.allowed),
    place: placeArguments(ticket.place),
    units: BigInt(ticket.units),
    priceMicroUsd: BigInt(ticket.priceMicroUsd),
    issuedAtMs: BigInt(ticket.issuedAtMs),
    expiresAtMs: BigInt(ticket.expiresAtMs),
  }
}

function placeArguments(place: Place) {
  return {
    ...place,
    evidence: EVIDENCE_CLASSES.indexOf(place.evidence),
    source: EVIDENCE_SOURCES.indexOf(place.source),
    trust: NODE_TRUSTS.indexOf(place.trust),
    // The contract's text has no null; an empty one stands for it in the bytes, too.
    voucher: place.voucher ?? '',
    possible: BigInt(place.possible),
  }
}
