/** Issues dispatch tickets, one for each attempt. The hub signs them with the receipt. */
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { commitment, type Ticket } from '#shared/receipt/receipt.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { invariant } from '#shared/base/errors.ts'

export const TICKET_TTL_MS = 120_000
invariant(TICKET_TTL_MS > LIMITS.jobTimeoutMs, 'A ticket outlasts its job.')

export interface TicketContext {
  readonly hub: string
  readonly nowMs: number
}

export interface TicketInput {
  readonly request: DispatchRequest
  readonly member: Member
  readonly attempt: number
  readonly salt: Bytes32
  readonly inputDigest: Bytes32
}

export function issueTicket(
  { request, member, attempt, salt, inputDigest }: TicketInput,
  context: TicketContext,
): Ticket {
  return {
    jobId: request.jobId,
    attempt,
    hub: context.hub,
    nodeId: member.presence.nodeId,
    tenant: request.tenant,
    policyHash: request.policy.hash,
    allowed: request.allowed,
    place: member.evidence.place(),
    workDigest: request.work.digest,
    inputCommitment: commitment(salt, inputDigest),
    units: request.units,
    priceMicroUsd: request.priceMicroUsd,
    issuedAtMs: context.nowMs,
    expiresAtMs: context.nowMs + TICKET_TTL_MS,
  }
}
